//! What orders have done with points.

use std::collections::HashMap;

use kit::postgres::{Failure, Pool, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::account::{Lot, OrderId, UserId};
use crate::order::{Cause, OrderUse, Taken};

/// What an order was told when it got its points; else the cause is stored.
const DONE: &str = "DONE";
/// Microseconds since 1970, and points.
type Lots = Vec<(i64, i64)>;

/// Locks what is known of these orders, in the order of their names; of those that are new, that they are.
pub async fn lock(tx: &mut Tx, order_ids: &[&str]) -> Result<Vec<OrderUse>, Failure> {
    if order_ids.is_empty() {
        return Ok(Vec::new());
    }
    // Changing nothing locks a row that is there.
    let rows = sqlx::query!(
        r#"INSERT INTO point.order_use AS mine (order_id)
           SELECT order_id FROM UNNEST($1::text[]) AS new (order_id) ORDER BY order_id COLLATE "C"
           ON CONFLICT (order_id) DO UPDATE SET undone = mine.undone
           RETURNING order_id, user_id, taken, taken_nth, refunded_nth, lots AS "lots: Json<Lots>", undone, answer"#,
        order_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let uses = rows.into_iter().filter_map(|row| {
        let lots = row.lots.map(|lots| lots.0).unwrap_or_default();
        let taken = row.user_id.zip(row.taken_nth).and_then(|(user_id, nth)| {
            let lots = lots.into_iter().map(|(us, points)| Lot { expires_at: from_micros(us), points }).collect();
            Some(Taken { user_id: UserId::parse(&user_id).ok()?, amount: row.taken, nth, lots })
        });
        Some(OrderUse {
            order_id: OrderId::parse(&row.order_id).ok()?,
            taken,
            undone: row.undone,
            refunded_nth: row.refunded_nth,
            answer: row.answer.map(|text| Cause::parse(&text).map_or(Ok(()), Err)),
        })
    });
    Ok(uses.collect())
}

/// Writes what is known of orders that are locked.
pub async fn write(tx: &mut Tx, uses: &[OrderUse]) -> Result<(), Failure> {
    if uses.is_empty() {
        return Ok(());
    }
    let taken = |order: &OrderUse| order.taken.clone();
    let order_ids: Vec<&str> = uses.iter().map(|order| order.order_id.as_str()).collect();
    let user_ids: Vec<Option<&str>> =
        uses.iter().map(|order| order.taken.as_ref().map(|taken| taken.user_id.as_str())).collect();
    let amounts: Vec<i64> = uses.iter().map(|order| taken(order).map_or(0, |taken| taken.amount)).collect();
    let refunded: Vec<i64> = uses.iter().map(OrderUse::refunded).collect();
    let taken_nth: Vec<Option<i64>> = uses.iter().map(|order| taken(order).map(|taken| taken.nth)).collect();
    let refunded_nth: Vec<Option<i64>> = uses.iter().map(|order| order.refunded_nth).collect();
    let lots: Vec<Option<Json<Lots>>> = uses.iter().map(lots).collect();
    let undone: Vec<bool> = uses.iter().map(|order| order.undone).collect();
    let answers: Vec<Option<&str>> =
        uses.iter().map(|order| order.answer.map(|answer| answer.map_or_else(Cause::as_str, |()| DONE))).collect();
    sqlx::query!(
        "UPDATE point.order_use AS mine SET user_id = new.user_id, taken = new.taken, refunded = new.refunded,
           taken_nth = new.taken_nth, refunded_nth = new.refunded_nth, lots = new.lots, undone = new.undone, answer = new.answer
         FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::jsonb[],
           $8::boolean[], $9::text[])
           AS new (order_id, user_id, taken, refunded, taken_nth, refunded_nth, lots, undone, answer)
         WHERE mine.order_id = new.order_id",
        &order_ids as &[&str],
        &user_ids as &[Option<&str>],
        &amounts,
        &refunded,
        &taken_nth as _,
        &refunded_nth as _,
        &lots as _,
        &undone,
        &answers as &[Option<&str>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How many points each of these orders has taken and not given back; nothing of those that never asked for any.
pub async fn net(pool: &Pool, order_ids: &[String]) -> Result<HashMap<String, i64>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT order_id, taken - refunded AS "net!" FROM point.order_use WHERE order_id = ANY($1)"#,
        order_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.net)).collect())
}

fn lots(order: &OrderUse) -> Option<Json<Lots>> {
    let lots = &order.taken.as_ref()?.lots;
    let lots: Lots = lots.iter().map(|lot| (to_micros(lot.expires_at), lot.points)).collect();
    (!lots.is_empty()).then_some(Json(lots))
}

/// To the microsecond, as PostgreSQL keeps instants; years are those that it was given.
fn to_micros(instant: OffsetDateTime) -> i64 {
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(us: i64) -> OffsetDateTime {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000);
    instant.unwrap_or_else(|_| kit::clock::from_millis(us / 1_000))
}
