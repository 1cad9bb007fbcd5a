//! Errands of orders.

use std::time::Duration;

use bytes::Bytes;
use kit::postgres::{Failure, Pool, Tx};

use crate::deal::{OrderId, UserId};
use crate::step::{Kind, Step};

/// An errand that was taken up.
#[derive(Debug, Clone)]
pub struct Errand {
    /// What an order has asked for.
    pub step: Step,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// How often it was taken up, this time included.
    pub attempts: i32,
    /// Whether the other kind of the same order has ended; nothing where nobody has asked for it.
    pub other: Option<bool>,
}

/// What is known of an errand: whether it was answered, and how often.
#[derive(Debug, Clone)]
pub struct Row {
    /// The order.
    pub order_id: String,
    /// Which way.
    pub kind: Kind,
    /// The answer, once there is one.
    pub answer: Option<Bytes>,
    /// How often it was given.
    pub told: i64,
}

/// The errands of some orders. Nobody else changes one of them until the transaction ends.
pub async fn lock(tx: &mut Tx, orders: &[String]) -> Result<Vec<Row>, Failure> {
    probe(tx).await?;
    let rows = sqlx::query!(
        "SELECT order_id, kind, answer, told FROM promotion.errand WHERE order_id = ANY($1) ORDER BY order_id, kind FOR UPDATE",
        orders,
    )
    .fetch_all(&mut **tx)
    .await?;
    let row = |order_id, kind: &str, answer: Option<Vec<u8>>, told: i32| {
        Some(Row { order_id, kind: Kind::parse(kind)?, answer: answer.map(Bytes::from), told: told.into() })
    };
    Ok(rows.into_iter().filter_map(|found| row(found.order_id, &found.kind, found.answer, found.told)).collect())
}

/// Writes errands down; one that somebody else has written meanwhile stays as it is.
pub async fn insert(tx: &mut Tx, steps: &[(Step, Option<String>)]) -> Result<(), Failure> {
    if steps.is_empty() {
        return Ok(());
    }
    let (orders, kinds) = names(steps.iter().map(|(step, _)| step));
    let coupons: Vec<&str> = steps.iter().map(|(step, _)| step.coupon_id.as_str()).collect();
    let users: Vec<&str> = steps.iter().map(|(step, _)| step.user_id.as_str()).collect();
    let traces: Vec<Option<&str>> = steps.iter().map(|(_, traceparent)| traceparent.as_deref()).collect();
    // In one order for all: two transactions then cannot wait for each other.
    sqlx::query!(
        "INSERT INTO promotion.errand (order_id, kind, coupon_id, user_id, traceparent)
         SELECT order_id, kind, coupon_id, user_id, traceparent
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
           AS new (order_id, kind, coupon_id, user_id, traceparent)
         ORDER BY order_id, kind
         ON CONFLICT (order_id, kind) DO NOTHING",
        &orders as &[&str],
        &kinds as &[&str],
        &coupons as &[&str],
        &users as &[&str],
        &traces as &[Option<&str>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes up what is due, the longest first: for so long nobody else does.
pub async fn take_up(pool: &Pool, most: i64, lease: Duration) -> Result<Vec<Errand>, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    probe(&mut tx).await?;
    let rows = sqlx::query!(
        r#"WITH due AS (
             SELECT order_id, kind FROM promotion.errand WHERE ended_at IS NULL AND due_at <= statement_timestamp()
             ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
           )
           UPDATE promotion.errand AS mine SET due_at = clock_timestamp() + make_interval(secs => $2), attempts = attempts + 1
           FROM due WHERE mine.order_id = due.order_id AND mine.kind = due.kind
           RETURNING mine.order_id, mine.kind, mine.coupon_id, mine.user_id, mine.traceparent, mine.attempts,
             (SELECT ended_at IS NOT NULL FROM promotion.errand AS other
              WHERE other.order_id = mine.order_id AND other.kind <> mine.kind) AS other"#,
        most,
        lease.as_secs_f64(),
    )
    .fetch_all(&mut *tx)
    .await?;
    kit::postgres::commit(tx).await?;
    let errands = rows.into_iter().filter_map(|row| {
        // They were checked before they were stored.
        let order_id = OrderId::parse(&row.order_id).ok()?;
        let (kind, user_id) = (Kind::parse(&row.kind)?, UserId::parse(&row.user_id).ok()?);
        let step = Step { order_id, kind, coupon_id: row.coupon_id, user_id };
        Some(Errand { step, traceparent: row.traceparent, attempts: row.attempts, other: row.other })
    });
    Ok(errands.collect())
}

/// From here on the transaction finds rows by an index, always. PostgreSQL keeps a plan that it has made, and it may have made this one
/// when the table was so small that reading all of it was less work.
async fn probe(tx: &mut Tx) -> Result<(), Failure> {
    let others = ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort", "jit"];
    sqlx::query_scalar!("SELECT set_config(name, 'off', true) FROM UNNEST($1::text[]) AS name", &others as &[&str])
        .fetch_all(&mut **tx)
        .await?;
    Ok(())
}

/// Stores answers, which are told for the first time. They are locked, and have none.
pub async fn answer(tx: &mut Tx, answers: &[(Step, Bytes)]) -> Result<(), Failure> {
    if answers.is_empty() {
        return Ok(());
    }
    let (orders, kinds) = names(answers.iter().map(|(step, _)| step));
    let payloads: Vec<&[u8]> = answers.iter().map(|(_, answer)| answer.as_ref()).collect();
    sqlx::query!(
        "UPDATE promotion.errand AS mine SET answer = new.answer, ended_at = clock_timestamp(), told = told + 1
         FROM UNNEST($1::text[], $2::text[], $3::bytea[]) AS new (order_id, kind, answer)
         WHERE mine.order_id = new.order_id AND mine.kind = new.kind",
        &orders as &[&str],
        &kinds as &[&str],
        &payloads as &[&[u8]],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Counts that answers were told once more, each as often as it stands here.
pub async fn count_told(tx: &mut Tx, steps: impl Iterator<Item = &Step>) -> Result<(), Failure> {
    let (orders, kinds) = names(steps);
    sqlx::query!(
        "UPDATE promotion.errand AS mine SET told = told + new.count
         FROM (SELECT order_id, kind, count(*)::integer AS count
               FROM UNNEST($1::text[], $2::text[]) AS each (order_id, kind) GROUP BY order_id, kind) AS new
         WHERE mine.order_id = new.order_id AND mine.kind = new.kind",
        &orders as &[&str],
        &kinds as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// These had no answer: they are due again after a pause that doubles with each attempt, and is jittered.
pub async fn put_off(tx: &mut Tx, steps: &[Step], (first, most): (Duration, Duration)) -> Result<(), Failure> {
    if steps.is_empty() {
        return Ok(());
    }
    let (orders, kinds) = names(steps.iter());
    sqlx::query!(
        "UPDATE promotion.errand AS mine SET due_at = clock_timestamp() + make_interval(secs =>
           least($3::float8 * power(2, least(attempts, 30) - 1), $4::float8) * (0.5 + random() / 2))
         FROM UNNEST($1::text[], $2::text[]) AS old (order_id, kind)
         WHERE mine.order_id = old.order_id AND mine.kind = old.kind",
        &orders as &[&str],
        &kinds as &[&str],
        first.as_secs_f64(),
        most.as_secs_f64(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Orders and kinds by column, as `UNNEST` wants them.
fn names<'a>(steps: impl Iterator<Item = &'a Step>) -> (Vec<&'a str>, Vec<&'static str>) {
    steps.map(|step| (step.order_id.as_str(), step.kind.as_str())).unzip()
}
