//! Balances, as they stand now and as they stood.

use kit::postgres::{Failure, Pool};
use time::OffsetDateTime;

use crate::account::{Balance, LOTS_MOST, SOON, UserId};

/// The balance now. What has expired is not available, whether or not its entry is written. Nothing where there is no account.
pub async fn now(pool: &Pool, user_id: &UserId) -> Result<Option<Balance>, Failure> {
    let row = sqlx::query!(
        r#"SELECT balance, version, expired AS "expired!", soon AS "soon!"
           FROM point.account AS mine CROSS JOIN LATERAL (
             SELECT coalesce(sum(remaining) FILTER (WHERE expires_at <= now()), 0)::bigint AS expired,
               coalesce(sum(remaining) FILTER (WHERE expires_at > now() AND expires_at <= now() + make_interval(secs => $2)), 0)::bigint
                 AS soon
             FROM point.lot WHERE lot.user_id = mine.user_id) AS lots
           WHERE mine.user_id = $1"#,
        user_id.as_str(),
        SOON.as_seconds_f64(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Balance {
        user_id: user_id.clone(),
        available: row.balance - row.expired,
        expiring_soon: row.soon,
        version: row.version,
    }))
}

/// The balance as it stood at this instant of the past. What expires soon is not kept of the past, and is 0.
pub async fn at(pool: &Pool, user_id: &UserId, instant: OffsetDateTime) -> Result<Option<Balance>, Failure> {
    let due_most = i64::try_from(LOTS_MOST).unwrap_or(i64::MAX);
    let row = sqlx::query_file!("src/postgres/balance_at.sql", user_id.as_str(), instant, due_most)
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| Balance {
        user_id: user_id.clone(),
        available: row.available,
        expiring_soon: 0,
        version: row.version,
    }))
}
