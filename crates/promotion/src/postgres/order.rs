//! What is ordered of a deal: written down, decided on by Redis, noted.

use kit::postgres::{Failure, Pool};
use sqlx::types::Json;

use super::deal::{Columns, Row, Wanted, get};
use crate::deal::{Course, DealId, Decision, Patch, Prize, Updated};

/// What became of an order to change a deal.
#[derive(Debug)]
pub enum Wished {
    /// It is written down.
    Yes(Box<Row>),
    /// An order before it is still to be decided on, which comes first.
    NotYet(Box<Row>),
    /// There is no such deal.
    NotFound,
}

/// Writes an order down, if the one before it has been decided on: so no order is ever overwritten by another.
pub async fn wish(pool: &Pool, deal_id: &DealId, patch: &Patch) -> Result<Wished, Failure> {
    let row = sqlx::query_as!(
        Columns,
        r#"UPDATE promotion.deal
           SET version = version + 1, wanted = jsonb_build_object('version', version + 1, 'patch', $2::jsonb),
             wanted_stock = coalesce($3, stock)
           WHERE deal_id = $1 AND state = 'ARMED' AND applied = version
           RETURNING deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at"#,
        deal_id.as_str(),
        Json(patch) as _,
        patch.stock,
    )
    .fetch_optional(pool)
    .await?;
    if let Some(row) = row.and_then(Columns::into_row) {
        return Ok(Wished::Yes(Box::new(row)));
    }
    Ok(get(pool, deal_id).await?.map_or(Wished::NotFound, |row| Wished::NotYet(Box::new(row))))
}

/// Notes what Redis has decided on an order, and what is in force since; `title` is the new one, if it was one and is granted.
pub async fn applied(pool: &Pool, row: &Row, updated: &Updated) -> Result<(), Failure> {
    let title = row.wanted.title.as_deref().filter(|_| updated.decision == Decision::Done);
    sqlx::query!(
        "UPDATE promotion.deal SET applied = $2, title = coalesce($3, title), stock = $4, opens_at = $5, closes_at = $6,
           prize = $7, pass_required = $8
         WHERE deal_id = $1 AND applied < $2",
        row.wish.deal_id.as_str(),
        row.version,
        title,
        updated.stock,
        kit::clock::from_millis(updated.opens_ms),
        kit::clock::from_millis(updated.closes_ms),
        Json(&updated.terms.prize) as _,
        updated.pass_required,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that an order came when the deal was archived: nothing of it can be changed.
pub async fn came_too_late(pool: &Pool, row: &Row) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE promotion.deal SET applied = $2 WHERE deal_id = $1 AND applied < $2",
        row.wish.deal_id.as_str(),
        row.version,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Deals of which something was begun and is not known to be finished.
pub async fn pending(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Row>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required, wanted AS "wanted: Json<Wanted>",
             course AS "course: Json<Course>", created_at
           FROM promotion.deal
           WHERE (state = 'CREATED' OR applied < version) AND deal_id > $1 AND created_at < clock_timestamp() - interval '2 seconds'
           ORDER BY deal_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_row).collect())
}
