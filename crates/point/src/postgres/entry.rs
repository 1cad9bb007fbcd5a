//! Entries: only ever added.

use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::account::{OrderId, RequestId, UserId};
use crate::entry::{Entry, Kind};

/// Adds entries of accounts that are locked. A number that an account has already is refused.
pub async fn add(tx: &mut Tx, entries: &[Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let user_ids: Vec<&str> = entries.iter().map(|entry| entry.user_id.as_str()).collect();
    let numbers: Vec<i64> = entries.iter().map(|entry| entry.nth).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    let amounts: Vec<i64> = entries.iter().map(|entry| entry.amount).collect();
    let balances: Vec<i64> = entries.iter().map(|entry| entry.balance_after).collect();
    let order_ids: Vec<Option<&str>> = entries.iter().map(|e| e.order_id.as_ref().map(OrderId::as_str)).collect();
    let request_ids: Vec<Option<&str>> = entries.iter().map(|e| e.request_id.as_ref().map(RequestId::as_str)).collect();
    let reasons: Vec<Option<&str>> = entries.iter().map(|entry| entry.reason.as_deref()).collect();
    let expired: Vec<Option<OffsetDateTime>> = entries.iter().map(|entry| entry.expired_at).collect();
    let created: Vec<OffsetDateTime> = entries.iter().map(|entry| entry.created_at).collect();
    sqlx::query!(
        "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, order_id, request_id, reason, expired_at, created_at)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
           $8::text[], $9::timestamptz[], $10::timestamptz[])",
        &user_ids as &[&str],
        &numbers,
        &kinds as &[&str],
        &amounts,
        &balances,
        &order_ids as &[Option<&str>],
        &request_ids as &[Option<&str>],
        &reasons as &[Option<&str>],
        &expired as _,
        &created,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The entries with these accounts and numbers.
pub async fn find(tx: &mut Tx, places: &[(UserId, i64)]) -> Result<Vec<Entry>, Failure> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let user_ids: Vec<&str> = places.iter().map(|(user_id, _)| user_id.as_str()).collect();
    let numbers: Vec<i64> = places.iter().map(|(_, nth)| *nth).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT mine.user_id, mine.nth, kind, amount, balance_after, order_id, request_id, reason, expired_at, created_at
         FROM UNNEST($1::text[], $2::bigint[]) AS place (user_id, nth)
         JOIN point.entry AS mine ON mine.user_id = place.user_id AND mine.nth = place.nth",
        &user_ids as &[&str],
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_entry).collect())
}

/// One user's entries, newest first, from below this number on.
pub async fn page(pool: &Pool, user_id: &UserId, below: Option<i64>, limit: i64) -> Result<Vec<Entry>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT user_id, nth, kind, amount, balance_after, order_id, request_id, reason, expired_at, created_at
         FROM point.entry WHERE user_id = $1 AND ($2::bigint IS NULL OR nth < $2) ORDER BY nth DESC LIMIT $3",
        user_id.as_str(),
        below,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_entry).collect())
}

struct Row {
    user_id: String,
    nth: i64,
    kind: String,
    amount: i64,
    balance_after: i64,
    order_id: Option<String>,
    request_id: Option<String>,
    reason: Option<String>,
    expired_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl Row {
    /// What is written here was checked before.
    fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            user_id: UserId::parse(&self.user_id).ok()?,
            nth: self.nth,
            kind: Kind::parse(&self.kind)?,
            amount: self.amount,
            balance_after: self.balance_after,
            order_id: self.order_id.and_then(|id| OrderId::parse(&id).ok()),
            request_id: self.request_id.and_then(|id| RequestId::parse(&id).ok()),
            reason: self.reason,
            expired_at: self.expired_at,
            created_at: self.created_at,
        })
    }
}
