//! Deals that leave Redis.

use std::collections::HashSet;

use kit::postgres::{Failure, Pool};
use sqlx::types::Json;

use crate::deal::{Course, DealId};

/// A deal that is closed, and whether all of its coupons are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Its name.
    pub deal_id: DealId,
    /// Whether each coupon that has arrived was given back or has expired.
    pub over: bool,
}

/// What has arrived of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Coupons that were ever issued.
    pub issued: i64,
    /// Those that were not given back.
    pub live: i64,
    /// Those whose return is known only from who sits on their seat.
    pub inferred: i64,
    /// Those that are alive and have not expired.
    pub usable: i64,
}

/// Closed deals after `after`, in the order of their names. Later ranks expire later: the last one that is alive tells of all.
pub async fn closed(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Closed>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT deal_id, coalesce(
             (SELECT coalesce(expires_at <= clock_timestamp(), false) FROM promotion.coupon
              WHERE coupon.deal_id = deal.deal_id AND state <> 'RETURNED' ORDER BY rank DESC LIMIT 1), true) AS "over!"
           FROM promotion.deal
           WHERE archived_at IS NULL AND deal_id > $1 AND state = 'ARMED' AND applied = version
             AND closes_at <= clock_timestamp()
           ORDER BY deal_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let closed = |deal_id: String, over| Some(Closed { deal_id: DealId::parse(&deal_id).ok()?, over });
    Ok(rows.into_iter().filter_map(|row| closed(row.deal_id, row.over)).collect())
}

/// How much of a deal has arrived. A coupon has expired when it has by the clock of Redis, which said `now_ms`, and by this one.
pub async fn arrived(pool: &Pool, deal_id: &DealId, now_ms: i64) -> Result<Arrived, Failure> {
    Ok(sqlx::query_as!(
        Arrived,
        r#"SELECT count(*) AS "issued!", count(*) FILTER (WHERE state <> 'RETURNED') AS "live!",
             count(*) FILTER (WHERE inferred) AS "inferred!",
             count(*) FILTER (WHERE state <> 'RETURNED' AND coalesce(expires_at > least($2, clock_timestamp()), true)) AS "usable!"
           FROM promotion.coupon WHERE deal_id = $1"#,
        deal_id.as_str(),
        kit::clock::from_millis(now_ms),
    )
    .fetch_one(pool)
    .await?)
}

/// Notes how the deal stands, before it leaves Redis: until it has, Redis goes on answering.
pub async fn keep_course(pool: &Pool, deal_id: &DealId, course: &Course) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE promotion.deal SET course = $2 WHERE deal_id = $1 AND archived_at IS NULL",
        deal_id.as_str(),
        Json(course) as _,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that the deal has left Redis.
pub async fn left(pool: &Pool, deal_id: &DealId) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE promotion.deal SET archived_at = clock_timestamp() WHERE deal_id = $1 AND archived_at IS NULL AND course IS NOT NULL",
        deal_id.as_str(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Those of these deals that have left Redis.
pub async fn of(pool: &Pool, deal_ids: &[String]) -> Result<HashSet<String>, Failure> {
    let archived = sqlx::query_scalar!(
        "SELECT deal_id FROM promotion.deal WHERE deal_id = ANY($1) AND archived_at IS NOT NULL",
        deal_ids,
    );
    Ok(archived.fetch_all(pool).await?.into_iter().collect())
}
