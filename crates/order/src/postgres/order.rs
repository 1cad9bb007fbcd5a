//! Orders.

use kit::money::Money;
use kit::postgres::{Failure, Pool, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::cursor::Cursor;
use crate::order::{CouponId, HoldId, Line, Order, OrderId, Reason, State, UserId};
use crate::saga::Saga;

/// An order as it is stored.
struct Columns {
    order_id: String,
    user_id: String,
    lines: Json<Vec<Line>>,
    coupon_id: Option<String>,
    hold_id: Option<String>,
    points: i64,
    currency: String,
    subtotal: i64,
    discount: i64,
    payment_method: String,
    state: String,
    reason: Option<String>,
    steps: Json<Saga>,
    version: i64,
    created_at: OffsetDateTime,
    paid_at: Option<OffsetDateTime>,
    due_at: Option<OffsetDateTime>,
}

impl Columns {
    /// Nothing where somebody has written what this service never writes.
    fn into_order(self) -> Option<Order> {
        Some(Order {
            order_id: OrderId::parse(&self.order_id).ok()?,
            user_id: UserId::parse(&self.user_id).ok()?,
            lines: self.lines.0,
            coupon_id: self.coupon_id.and_then(|id| CouponId::parse(&id).ok()),
            hold_id: self.hold_id.and_then(|id| HoldId::parse(&id).ok()),
            points: self.points,
            subtotal: Money { currency: self.currency, minor_units: self.subtotal },
            discount: self.discount,
            payment_method: self.payment_method,
            state: State::parse(&self.state)?,
            reason: self.reason.as_deref().and_then(Reason::parse),
            saga: self.steps.0,
            version: self.version,
            created_at: self.created_at,
            paid_at: self.paid_at,
            due_at: self.due_at,
        })
    }
}

/// One order.
pub async fn get(pool: &Pool, order_id: &OrderId) -> Result<Option<Order>, Failure> {
    Ok(many(pool, &[order_id.to_string()]).await?.pop())
}

/// Some orders, those that there are.
pub async fn many(pool: &Pool, order_ids: &[String]) -> Result<Vec<Order>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT order_id, user_id, lines AS "lines: Json<Vec<Line>>", coupon_id, hold_id, points, currency, subtotal,
             discount, payment_method, state, reason, steps AS "steps: Json<Saga>", version, created_at, paid_at, due_at
           FROM "order".orders WHERE order_id = ANY($1)"#,
        order_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_order).collect())
}

/// The orders of one user, newest first.
pub async fn page(pool: &Pool, user_id: &UserId, after: Option<&Cursor>, limit: i64) -> Result<Vec<Order>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT order_id, user_id, lines AS "lines: Json<Vec<Line>>", coupon_id, hold_id, points, currency, subtotal,
             discount, payment_method, state, reason, steps AS "steps: Json<Saga>", version, created_at, paid_at, due_at
           FROM "order".orders
           WHERE user_id = $1 AND ($2::timestamptz IS NULL OR (created_at, order_id) < ($2, $3))
           ORDER BY created_at DESC, order_id DESC LIMIT $4"#,
        user_id.as_str(),
        after.and_then(Cursor::at),
        after.map(|after| after.id.as_str()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_order).collect())
}

/// The orders, locked in the order of their names until the transaction ends.
pub async fn lock(tx: &mut Tx, order_ids: &[String]) -> Result<Vec<Order>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT order_id, user_id, lines AS "lines: Json<Vec<Line>>", coupon_id, hold_id, points, currency, subtotal,
             discount, payment_method, state, reason, steps AS "steps: Json<Saga>", version, created_at, paid_at, due_at
           FROM "order".orders WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE"#,
        order_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_order).collect())
}

/// Orders whose timer is over and that nobody else has locked, the oldest timers first; locked until the transaction ends.
pub async fn lock_due(tx: &mut Tx, limit: i64) -> Result<Vec<Order>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT order_id, user_id, lines AS "lines: Json<Vec<Line>>", coupon_id, hold_id, points, currency, subtotal,
             discount, payment_method, state, reason, steps AS "steps: Json<Saga>", version, created_at, paid_at, due_at
           FROM "order".orders WHERE due_at <= clock_timestamp()
           ORDER BY due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED"#,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_order).collect())
}

/// Writes new orders.
pub async fn insert(tx: &mut Tx, orders: &[Order]) -> Result<(), Failure> {
    let text = |of: fn(&Order) -> String| -> Vec<String> { orders.iter().map(of).collect() };
    let number = |of: fn(&Order) -> i64| -> Vec<i64> { orders.iter().map(of).collect() };
    sqlx::query!(
        r#"INSERT INTO "order".orders (order_id, user_id, lines, coupon_id, hold_id, points, currency, subtotal, discount,
             payment_method, state, steps, version, created_at, paid_at, due_at)
           SELECT order_id, user_id, lines::jsonb, nullif(coupon_id, ''), nullif(hold_id, ''), points, currency, subtotal, 0,
             payment_method, state, steps::jsonb, version, created_at, paid_at, due_at
           FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
             $9::text[], $10::text[], $11::text[], $12::bigint[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
             AS t (order_id, user_id, lines, coupon_id, hold_id, points, currency, subtotal, payment_method, state, steps,
               version, created_at, paid_at, due_at)"#,
        &text(|order| order.order_id.to_string()),
        &text(|order| order.user_id.to_string()),
        &text(|order| json(&order.lines)),
        &text(|order| order.coupon_id.as_ref().map(CouponId::to_string).unwrap_or_default()),
        &text(|order| order.hold_id.as_ref().map(HoldId::to_string).unwrap_or_default()),
        &number(|order| order.points),
        &text(|order| order.subtotal.currency.clone()),
        &number(|order| order.subtotal.minor_units),
        &text(|order| order.payment_method.clone()),
        &text(|order| order.state.as_str().to_owned()),
        &text(|order| json(&order.saga)),
        &number(|order| order.version),
        &orders.iter().map(|order| order.created_at).collect::<Vec<_>>(),
        &orders.iter().map(|order| order.paid_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &orders.iter().map(|order| order.due_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes what has become of orders that are locked.
pub async fn update(tx: &mut Tx, orders: &[Order]) -> Result<(), Failure> {
    let text = |of: fn(&Order) -> String| -> Vec<String> { orders.iter().map(of).collect() };
    let number = |of: fn(&Order) -> i64| -> Vec<i64> { orders.iter().map(of).collect() };
    sqlx::query!(
        r#"UPDATE "order".orders SET points = t.points, discount = t.discount, state = t.state, reason = nullif(t.reason, ''),
             steps = t.steps::jsonb, version = t.version, paid_at = t.paid_at, due_at = t.due_at
           FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
             $8::timestamptz[], $9::timestamptz[])
             AS t (order_id, points, discount, state, reason, steps, version, paid_at, due_at)
           WHERE orders.order_id = t.order_id"#,
        &text(|order| order.order_id.to_string()),
        &number(|order| order.points),
        &number(|order| order.discount),
        &text(|order| order.state.as_str().to_owned()),
        &text(|order| order.reason.map(Reason::as_str).unwrap_or_default().to_owned()),
        &text(|order| json(&order.saga)),
        &number(|order| order.version),
        &orders.iter().map(|order| order.paid_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &orders.iter().map(|order| order.due_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The versions of some orders.
pub async fn versions(pool: &Pool, order_ids: &[String]) -> Result<Vec<(String, i64)>, Failure> {
    let rows = sqlx::query!(r#"SELECT order_id, version FROM "order".orders WHERE order_id = ANY($1)"#, order_ids)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.version)).collect())
}

/// What time it is to PostgreSQL.
pub async fn now(tx: &mut Tx) -> Result<OffsetDateTime, Failure> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut **tx).await?)
}

/// Maps and lists of texts and numbers: there is nothing that could not be written.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
