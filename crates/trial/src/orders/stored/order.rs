//! Orders and items.

use std::time::Duration;

use anyhow::Context as _;
use proto::order::v1::OrderState;
use serde::Deserialize;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use crate::orders::kept::{Inside, Item, Line, Order};

/// How far all orders have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orders) struct States {
    pub(in crate::orders) whole: usize,
    pub(in crate::orders) ended: usize,
}

#[derive(FromRow)]
struct Row {
    order_id: String,
    request_id: Option<String>,
    user_id: String,
    lines: Json<Vec<StoredLine>>,
    coupon_id: Option<String>,
    points: i64,
    subtotal: i64,
    discount: i64,
    state: String,
    reason: Option<String>,
    is_silent: bool,
    day: Option<String>,
    paid_after: Option<f64>,
}

#[derive(Deserialize)]
struct StoredLine {
    item_id: String,
    quantity: i64,
    unit_price: i64,
}

const ORDERS: &str = r#"
  SELECT o.order_id, r.request_id, o.user_id, o.lines, o.coupon_id, o.points, o.subtotal, o.discount, o.state, o.reason,
    jsonb_path_exists(o.steps, '$.** ? (@.kind == "do" && @.status == "abandoned")') AS is_silent,
    (o.paid_at AT TIME ZONE $2)::date::text AS day,
    extract(epoch FROM o.paid_at - o.created_at)::float8 AS paid_after
  FROM "order".orders o LEFT JOIN "order".request r ON r.made = o.order_id
  WHERE o.user_id = ANY($1)"#;

/// Every order of these users, with the request that it was placed by.
pub(super) async fn orders(to: &mut PgConnection, users: &[String], time_zone: &str) -> anyhow::Result<Vec<Order>> {
    let rows: Vec<Row> = sqlx::query_as(ORDERS).bind(users).bind(time_zone).fetch_all(to).await?;
    rows.into_iter().map(order).collect()
}

pub(super) async fn states(to: &mut PgConnection, users: &[String]) -> anyhow::Result<States> {
    let (whole, ended): (i64, i64) = sqlx::query_as(
        r#"SELECT count(*), count(*) FILTER (WHERE state NOT IN ('PENDING', 'CANCELLING'))
           FROM "order".orders WHERE user_id = ANY($1)"#,
    )
    .bind(users)
    .fetch_one(to)
    .await?;
    Ok(States { whole: usize::try_from(whole)?, ended: usize::try_from(ended)? })
}

pub(super) async fn items(to: &mut PgConnection, items: &[String]) -> anyhow::Result<Vec<Item>> {
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as(r#"SELECT item_id, stock, sold FROM "order".item WHERE item_id = ANY($1)"#)
            .bind(items)
            .fetch_all(to)
            .await?;
    Ok(rows.into_iter().map(|(item_id, stock, sold)| Item { item_id, stock, sold }).collect())
}

fn order(row: Row) -> anyhow::Result<Order> {
    let name = format!("ORDER_STATE_{}", row.state);
    let state = OrderState::from_str_name(&name).with_context(|| format!("{} is {}", row.order_id, row.state))?;
    let line = |line: StoredLine| {
        let StoredLine { item_id, quantity, unit_price } = line;
        Line { item_id, quantity, unit_price }
    };
    Ok(Order {
        order_id: row.order_id,
        user_id: row.user_id,
        lines: row.lines.0.into_iter().map(line).collect(),
        coupon_id: row.coupon_id,
        points: row.points,
        subtotal: row.subtotal,
        discount: row.discount,
        total: row.subtotal - row.discount,
        state,
        reason: row.reason.unwrap_or_default(),
        was_paid: row.day.is_some(),
        inside: Inside {
            request_id: row.request_id,
            day: row.day,
            paid_after: row.paid_after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            is_silent: row.is_silent,
        },
    })
}
