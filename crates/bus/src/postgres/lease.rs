//! The lease: an advisory lock of one session that PostgreSQL itself ends when it falls silent.

use kit::postgres::Failure;
use sqlx::PgConnection;

/// Takes the lease if nobody holds it. Returns the new holder's token.
pub(crate) async fn take(connection: &mut PgConnection, name: &str, holder: &str) -> Result<Option<i64>, Failure> {
    if !lock(connection, name).await? {
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

/// Takes the lock of `name` if nobody has it. Returns whether it is this session's now.
pub(crate) async fn lock(connection: &mut PgConnection, name: &str) -> Result<bool, Failure> {
    // The lock is the database's: the schema keeps two services' leases apart.
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext($1)) AS "locked!""#,
        name
    );
    Ok(locked.fetch_one(connection).await?)
}

/// Shows PostgreSQL that the session lives.
pub(crate) async fn beat(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query_scalar!(r#"SELECT 1 AS "alive!""#).fetch_one(connection).await?;
    Ok(())
}

/// Gives the lease back.
pub(crate) async fn give_back(connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    sqlx::query_scalar!("SELECT pg_advisory_unlock(hashtext(current_schema()), hashtext($1))", name)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Is one of those who share `name` from now on, until the session ends.
pub(crate) async fn join(connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_advisory_lock_shared(hashtext(current_schema()), hashtext($1))", name)
        .execute(connection)
        .await?;
    Ok(())
}

/// Which of `names` this very session does not hold.
pub(crate) async fn missing(connection: &mut PgConnection, names: &[String]) -> Result<Vec<String>, Failure> {
    let missing = sqlx::query_scalar!(
        r#"SELECT name AS "name!" FROM UNNEST($1::text[]) AS name
           WHERE NOT EXISTS (SELECT FROM pg_locks
             WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND pid = pg_backend_pid()
               AND classid = (hashtext(current_schema())::bigint & 4294967295)::oid
               AND objid = (hashtext(name)::bigint & 4294967295)::oid)"#,
        names
    );
    Ok(missing.fetch_all(connection).await?)
}

/// How many share `name`: so many sessions hold its lock.
pub(crate) async fn members(connection: &mut PgConnection, name: &str) -> Result<i64, Failure> {
    let members = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM pg_locks
           WHERE locktype = 'advisory' AND objsubid = 2 AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND classid = (hashtext(current_schema())::bigint & 4294967295)::oid
             AND objid = (hashtext($1)::bigint & 4294967295)::oid"#,
        name
    );
    Ok(members.fetch_one(connection).await?)
}
