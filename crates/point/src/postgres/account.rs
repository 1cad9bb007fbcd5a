//! Accounts and their lots: locked, and written as they stand afterwards.

use std::collections::HashMap;

use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::account::{Account, Lot, UserId};

/// Locks accounts, those that are missing made first; both in the order of their names, so that nobody waits for each other. Returns
/// them with an instant at which all were locked; none where there are none.
pub async fn lock(tx: &mut Tx, user_ids: &[&str]) -> Result<(Vec<Account>, OffsetDateTime), Failure> {
    if user_ids.is_empty() {
        return Ok((Vec::new(), OffsetDateTime::UNIX_EPOCH));
    }
    // Whoever makes one holds it until his transaction ends: it is made before anything is locked.
    sqlx::query!(
        r#"INSERT INTO point.account (user_id)
           SELECT new.user_id FROM UNNEST($1::text[]) AS new (user_id)
           WHERE NOT EXISTS (SELECT FROM point.account AS old WHERE old.user_id = new.user_id)
           ORDER BY new.user_id COLLATE "C" ON CONFLICT DO NOTHING"#,
        user_ids as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    // The clock is read when a row has been locked: in the inner statement it would be read before.
    let rows = sqlx::query!(
        r#"WITH locked AS MATERIALIZED (
             SELECT user_id, balance, version, next_expiry, changed_at FROM point.account
             WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE)
           SELECT user_id AS "user_id!", balance AS "balance!", version AS "version!", next_expiry, changed_at,
             clock_timestamp() AS "now!"
           FROM locked"#,
        user_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let now = rows.iter().map(|row| row.now).max().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let expiring: Vec<&str> =
        rows.iter().filter(|row| row.next_expiry.is_some()).map(|row| row.user_id.as_str()).collect();
    let mut lots = lots(tx, &expiring).await?;
    let accounts = rows.iter().filter_map(|row| {
        Some(Account {
            // The table's own checks hold the shape of an id.
            user_id: UserId::parse(&row.user_id).ok()?,
            balance: row.balance,
            version: row.version,
            changed_at: row.changed_at,
            lots: lots.remove(&row.user_id).unwrap_or_default().into_iter().collect(),
        })
    });
    Ok((accounts.collect(), now))
}

/// Writes accounts that are locked.
pub async fn write(tx: &mut Tx, accounts: &[Account]) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    let user_ids: Vec<&str> = accounts.iter().map(|account| account.user_id.as_str()).collect();
    let balances: Vec<i64> = accounts.iter().map(|account| account.balance).collect();
    let versions: Vec<i64> = accounts.iter().map(|account| account.version).collect();
    let expiries: Vec<Option<OffsetDateTime>> = accounts.iter().map(|account| account.lots.next_expiry()).collect();
    let changed: Vec<Option<OffsetDateTime>> = accounts.iter().map(|account| account.changed_at).collect();
    sqlx::query!(
        "UPDATE point.account AS mine SET balance = new.balance, version = new.version, next_expiry = new.next_expiry,
           changed_at = new.changed_at
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
           AS new (user_id, balance, version, next_expiry, changed_at)
         WHERE mine.user_id = new.user_id",
        &user_ids as &[&str],
        &balances,
        &versions,
        &expiries as _,
        &changed as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes lots of accounts that are locked: as many as there are left of each, and those that are gone.
pub async fn write_lots(tx: &mut Tx, lots: &[(UserId, Lot)], gone: &[(UserId, OffsetDateTime)]) -> Result<(), Failure> {
    if !lots.is_empty() {
        let user_ids: Vec<&str> = lots.iter().map(|(user_id, _)| user_id.as_str()).collect();
        let expiries: Vec<OffsetDateTime> = lots.iter().map(|(_, lot)| lot.expires_at).collect();
        let points: Vec<i64> = lots.iter().map(|(_, lot)| lot.points).collect();
        sqlx::query!(
            "INSERT INTO point.lot (user_id, expires_at, remaining)
             SELECT * FROM UNNEST($1::text[], $2::timestamptz[], $3::bigint[])
             ON CONFLICT (user_id, expires_at) DO UPDATE SET remaining = excluded.remaining",
            &user_ids as &[&str],
            &expiries,
            &points,
        )
        .execute(&mut **tx)
        .await?;
    }
    if !gone.is_empty() {
        let user_ids: Vec<&str> = gone.iter().map(|(user_id, _)| user_id.as_str()).collect();
        let expiries: Vec<OffsetDateTime> = gone.iter().map(|(_, expires_at)| *expires_at).collect();
        sqlx::query!(
            "DELETE FROM point.lot AS mine USING UNNEST($1::text[], $2::timestamptz[]) AS gone (user_id, expires_at)
             WHERE mine.user_id = gone.user_id AND mine.expires_at = gone.expires_at",
            &user_ids as &[&str],
            &expiries,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Accounts with points whose time is over, the longest first.
pub async fn due(pool: &Pool, limit: i64) -> Result<Vec<UserId>, Failure> {
    let names = sqlx::query_scalar!(
        "SELECT user_id FROM point.account WHERE next_expiry <= clock_timestamp() ORDER BY next_expiry LIMIT $1",
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(names.iter().filter_map(|name| UserId::parse(name).ok()).collect())
}

async fn lots(tx: &mut Tx, user_ids: &[&str]) -> Result<HashMap<String, Vec<Lot>>, Failure> {
    let mut lots: HashMap<String, Vec<Lot>> = HashMap::new();
    if user_ids.is_empty() {
        return Ok(lots);
    }
    let rows = sqlx::query!(
        "SELECT user_id, expires_at, remaining FROM point.lot WHERE user_id = ANY($1)",
        user_ids as &[&str]
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        lots.entry(row.user_id).or_default().push(Lot { expires_at: row.expires_at, points: row.remaining });
    }
    Ok(lots)
}
