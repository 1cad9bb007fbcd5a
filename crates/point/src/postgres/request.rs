//! Requests that must not be carried out twice, and what their clients were told.

use kit::error::Refusal as _;
use kit::postgres::{Failure, Pool, Tx};

use crate::account::{RequestId, UserId};
use crate::operation::{Remembered, Request, Told};
use crate::refusal::Refusal;

/// Those of these requests that were carried out or refused before.
pub async fn known(tx: &mut Tx, request_ids: &[&str]) -> Result<Vec<Remembered>, Failure> {
    if request_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "SELECT request_id, digest, user_id, nth, refusal FROM point.request WHERE request_id = ANY($1)",
        request_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let known = rows.into_iter().filter_map(|row| {
        let told = match (row.refusal, row.user_id.zip(row.nth)) {
            (Some(refusal), _) => Told::Refused(Refusal::parse(&refusal)?),
            (None, Some((user_id, nth))) => Told::Entry(UserId::parse(&user_id).ok()?, nth),
            (None, None) => Told::Nothing,
        };
        let request_id = RequestId::parse(&row.request_id).ok()?;
        Some(Remembered { request: Request { request_id, digest: row.digest.try_into().ok()? }, told })
    });
    Ok(known.collect())
}

/// Remembers requests. One that somebody else has carried out a moment ago is refused, and everything with it.
pub async fn remember(tx: &mut Tx, remembered: &[Remembered]) -> Result<(), Failure> {
    if remembered.is_empty() {
        return Ok(());
    }
    let request_ids: Vec<&str> = remembered.iter().map(|known| known.request.request_id.as_str()).collect();
    let digests: Vec<&[u8]> = remembered.iter().map(|known| known.request.digest.as_slice()).collect();
    let user_ids: Vec<Option<&str>> = remembered.iter().map(|known| entry(known).map(|(id, _)| id.as_str())).collect();
    let numbers: Vec<Option<i64>> = remembered.iter().map(|known| entry(known).map(|(_, nth)| nth)).collect();
    let refusals: Vec<Option<&str>> = remembered.iter().map(refusal).collect();
    sqlx::query!(
        r#"INSERT INTO point.request (request_id, digest, user_id, nth, refusal)
           SELECT request_id, digest, user_id, nth, refusal
           FROM UNNEST($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::text[])
             AS new (request_id, digest, user_id, nth, refusal)
           ORDER BY request_id COLLATE "C""#,
        &request_ids as &[&str],
        &digests as &[&[u8]],
        &user_ids as &[Option<&str>],
        &numbers as _,
        &refusals as &[Option<&str>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets requests that are older than a day, the oldest first. How many there were.
pub async fn forget(pool: &Pool, limit: i64) -> Result<u64, Failure> {
    let gone = sqlx::query!(
        "DELETE FROM point.request WHERE request_id IN (
           SELECT request_id FROM point.request WHERE created_at < clock_timestamp() - interval '24 hours'
           ORDER BY created_at LIMIT $1)",
        limit,
    )
    .execute(pool)
    .await?;
    Ok(gone.rows_affected())
}

fn entry(known: &Remembered) -> Option<(&UserId, i64)> {
    match &known.told {
        Told::Entry(user_id, nth) => Some((user_id, *nth)),
        Told::Nothing | Told::Refused(_) => None,
    }
}

fn refusal(known: &Remembered) -> Option<&'static str> {
    match &known.told {
        Told::Refused(refusal) => Some(refusal.reason()),
        Told::Entry(..) | Told::Nothing => None,
    }
}
