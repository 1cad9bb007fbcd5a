//! The lease: an advisory lock of one session that PostgreSQL itself ends when it falls silent.

use kit::postgres::Failure;
use sqlx::PgConnection;

/// Takes the lease if nobody holds it. Returns the new holder's token.
pub(crate) async fn take(connection: &mut PgConnection, name: &str, holder: &str) -> Result<Option<i64>, Failure> {
    // The lock is the database's: the schema keeps two services' leases apart.
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext($1)) AS "locked!""#,
        name
    )
    .fetch_one(&mut *connection)
    .await?;
    if !locked {
        return Ok(None);
    }
    let token = sqlx::query_scalar!(
        "INSERT INTO lease AS mine (name, token, holder) VALUES ($1, 1, $2)
         ON CONFLICT (name) DO UPDATE SET token = mine.token + 1, holder = excluded.holder,
           taken_at = clock_timestamp()
         RETURNING token",
        name,
        holder,
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(token))
}

/// Shows PostgreSQL that the session lives.
pub(crate) async fn beat(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#).fetch_one(connection).await?;
    Ok(())
}
