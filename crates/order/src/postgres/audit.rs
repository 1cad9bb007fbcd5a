//! What an audit reads.

use kit::postgres::{Failure, Pool};
use sqlx::types::Json;

use crate::order::Line;

/// An item whose stock does not agree with its orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Which item.
    pub item_id: String,
    /// What was sold of it, as the item has it.
    pub sold: i64,
    /// What was ordered of it by orders that were not undone.
    pub ordered: i64,
}

/// Items of which another number was sold than was ordered, in one look at all of them.
pub async fn odd_items(pool: &Pool) -> Result<Vec<Odd>, Failure> {
    Ok(sqlx::query_as!(
        Odd,
        r#"WITH ordered AS (
             SELECT line ->> 'item_id' AS item_id, sum((line ->> 'quantity')::bigint)::bigint AS number
             FROM "order".orders CROSS JOIN LATERAL jsonb_array_elements(lines) AS line
             WHERE state NOT IN ('CANCELLED', 'FAILED') GROUP BY 1)
           SELECT coalesce(item.item_id, ordered.item_id) AS "item_id!", coalesce(item.sold, 0) AS "sold!",
             coalesce(ordered.number, 0) AS "ordered!"
           FROM "order".item FULL JOIN ordered USING (item_id)
           WHERE coalesce(item.sold, 0) <> coalesce(ordered.number, 0) ORDER BY 1"#
    )
    .fetch_all(pool)
    .await?)
}

/// How many items there are, how many orders, and how many of them are unfinished.
pub async fn counts(pool: &Pool) -> Result<(i64, i64, i64), Failure> {
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM "order".item) AS "items!", count(*) AS "orders!",
             count(*) FILTER (WHERE state IN ('PENDING', 'CANCELLING')) AS "unfinished!"
           FROM "order".orders"#
    )
    .fetch_one(pool)
    .await?;
    Ok((row.items, row.orders, row.unfinished))
}

/// Unfinished orders that were placed more than so many seconds ago.
pub async fn stuck(pool: &Pool, seconds: f64, limit: i64) -> Result<Vec<(String, String)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT order_id, state FROM "order".orders
           WHERE state IN ('PENDING', 'CANCELLING') AND created_at < clock_timestamp() - make_interval(secs => $1)
           ORDER BY created_at LIMIT $2"#,
        seconds,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.state)).collect())
}

/// How one order ends, as far as others are concerned.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which.
    pub order_id: String,
    /// Whose.
    pub user_id: String,
    /// Where it stands.
    pub state: String,
    /// With which coupon.
    pub coupon_id: Option<String>,
    /// With how many points.
    pub points: i64,
    /// What is charged.
    pub charge: i64,
    /// In which currency.
    pub currency: String,
    /// Whether somebody is still asked for something.
    pub is_due: bool,
    /// What was ordered.
    pub lines: Json<Vec<Line>>,
}

/// Orders after `after`, in the order of their names.
pub async fn ends(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Row>, Failure> {
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT order_id, user_id, state, coupon_id, points, subtotal - discount - points AS "charge!", currency,
             due_at IS NOT NULL AS "is_due!", lines AS "lines: Json<Vec<Line>>"
           FROM "order".orders WHERE order_id > $1 ORDER BY order_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?)
}
