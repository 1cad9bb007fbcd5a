//! Deals, many at once.

use kit::postgres::{Failure, Pool};
use sqlx::types::Json;

use super::deal::{Columns, Row, Wanted};
use crate::deal::{Course, DealId, Prize, VenueId};
use crate::place::Place;

/// Deals, newest first.
pub async fn page(
    pool: &Pool,
    venue_id: Option<&VenueId>,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Row>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at
           FROM promotion.deal
           WHERE ($1::text IS NULL OR venue_id = $1)
             AND ($2::timestamptz IS NULL OR (created_at, deal_id) < ($2, $3))
           ORDER BY created_at DESC, deal_id DESC LIMIT $4"#,
        venue_id.map(VenueId::as_str),
        after.and_then(Place::at),
        after.map(|after| after.deal_id.as_str()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_row).collect())
}

/// Names of deals after `after`, in their order.
pub async fn names(pool: &Pool, after: &str, limit: i64) -> Result<Vec<DealId>, Failure> {
    let names = sqlx::query_scalar!(
        "SELECT deal_id FROM promotion.deal WHERE deal_id > $1 ORDER BY deal_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(names.iter().filter_map(|name| DealId::parse(name).ok()).collect())
}

/// Names of deals after `after` that have neither come to their end nor left Redis, in their order.
pub async fn current(pool: &Pool, after: &str, limit: i64) -> Result<Vec<DealId>, Failure> {
    let names = sqlx::query_scalar!(
        "SELECT deal_id FROM promotion.deal WHERE closes_at > clock_timestamp() AND archived_at IS NULL AND deal_id > $1
         ORDER BY deal_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(names.iter().filter_map(|name| DealId::parse(name).ok()).collect())
}

/// How many deals have come to their end, or have left Redis.
pub async fn over(pool: &Pool) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "over!" FROM promotion.deal WHERE closes_at <= clock_timestamp() OR archived_at IS NOT NULL"#
    )
    .fetch_one(pool)
    .await?)
}
