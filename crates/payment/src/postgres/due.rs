//! What is to be settled: taken by whoever settles it, and counted.

use std::collections::HashMap;
use std::time::Duration;

use kit::money::Money;
use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::payment::{Asked, Call, Case, Command, Due, Kind, OrderId, State};

/// A payment that is due, taken by whoever makes the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The call that is to be made.
    pub call: Call,
    /// Calls in a row that have brought no answer.
    pub attempts: i32,
    /// Until when nobody else makes this call. Where the payment is due at another instant by then, something has happened meanwhile.
    pub lease: OffsetDateTime,
}

/// What waits to be settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waiting {
    /// What the orders want.
    pub wanted: Kind,
    /// How many there are.
    pub payments: i64,
    /// For how long the oldest has been wanted.
    pub oldest_seconds: f64,
}

/// These are to be settled from now on.
pub async fn begin(tx: &mut Tx, asked: &[&Asked]) -> Result<(), Failure> {
    let orders: Vec<&str> = asked.iter().map(|asked| asked.order_id.as_str()).collect();
    let undo: Vec<bool> = asked.iter().map(|asked| asked.kind == Kind::Undo).collect();
    sqlx::query!(
        "INSERT INTO payment.due (order_id, undo) SELECT * FROM UNNEST($1::text[], $2::boolean[])",
        &orders as &[&str],
        &undo,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down when these are due, if they are due otherwise than before; the transaction has locked them.
pub async fn save(tx: &mut Tx, cases: &[&Case]) -> Result<(), Failure> {
    let (mut settled, mut orders, mut undo, mut pauses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for case in cases {
        let order_id = case.payment.order_id.as_str();
        match case.due {
            Due::Kept => {}
            Due::Settled => settled.push(order_id),
            Due::In(pause) => {
                orders.push(order_id);
                undo.push(case.wanted == Kind::Undo);
                pauses.push(milliseconds(pause));
            }
        }
    }
    if !settled.is_empty() {
        sqlx::query!("DELETE FROM payment.due WHERE order_id = ANY($1)", &settled as &[&str])
            .execute(&mut **tx)
            .await?;
    }
    if !orders.is_empty() {
        sqlx::query!(
            "INSERT INTO payment.due (order_id, undo, due_at)
             SELECT order_id, undo, clock_timestamp() + pause * interval '1 millisecond'
             FROM UNNEST($1::text[], $2::boolean[], $3::bigint[]) AS t (order_id, undo, pause) ORDER BY order_id
             ON CONFLICT (order_id) DO UPDATE SET undo = excluded.undo, due_at = excluded.due_at,
               wanted_at = CASE WHEN due.undo = excluded.undo THEN due.wanted_at ELSE excluded.wanted_at END",
            &orders as &[&str],
            &undo,
            &pauses,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// When the payments of these orders are due, where they are to be settled.
pub async fn of_orders(tx: &mut Tx, orders: &[&OrderId]) -> Result<HashMap<OrderId, OffsetDateTime>, Failure> {
    let orders: Vec<&str> = orders.iter().map(|order_id| order_id.as_str()).collect();
    let rows = sqlx::query!("SELECT order_id, due_at FROM payment.due WHERE order_id = ANY($1)", &orders as &[&str])
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.into_iter().filter_map(|row| Some((OrderId::parse(&row.order_id).ok()?, row.due_at))).collect())
}

/// Takes payments that are due, at most so many, undos first: nobody else takes them for as long as `lease`. What others are taking is
/// passed over. Rows are updated where they stand (`ctid`), so that no plan ever reads the whole table.
pub async fn take(pool: &Pool, limit: i64, lease: Duration) -> Result<Vec<Taken>, Failure> {
    let rows = sqlx::query!(
        r#"WITH undos AS (
             SELECT ctid FROM payment.due WHERE due_at <= now() AND undo
             ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
           ), charges AS (
             SELECT ctid FROM payment.due WHERE due_at <= now() AND NOT undo
             ORDER BY due_at LIMIT $1 - (SELECT count(*) FROM undos) FOR UPDATE SKIP LOCKED
           ), taken AS (
             UPDATE payment.due SET due_at = clock_timestamp() + $2::bigint * interval '1 millisecond'
             WHERE ctid = ANY(ARRAY(SELECT ctid FROM undos UNION ALL SELECT ctid FROM charges))
             RETURNING order_id, due_at
           )
           SELECT order_id AS "order_id!", amount AS "amount!", currency AS "currency!", method AS "method!", state AS "state!",
             wanted AS "wanted!", attempts AS "attempts!", due_at AS "due_at!"
           FROM taken JOIN payment.payment USING (order_id)"#,
        limit,
        milliseconds(lease),
    )
    .fetch_all(pool)
    .await?;
    let taken = |(order_id, state, wanted): (&str, &str, &str), amount, method, attempts, lease| {
        let command = match (State::parse(state)?, Kind::parse(wanted)?) {
            (State::Pending, Kind::Do) => Command::Charge,
            (State::Pending, Kind::Undo) => Command::Void,
            (State::Charged | State::Declined | State::Voided | State::Refunded, _) => Command::Refund,
        };
        let call = Call { order_id: OrderId::parse(order_id).ok()?, command, amount, method };
        Some(Taken { call, attempts, lease })
    };
    let all = rows.into_iter().filter_map(|row| {
        let amount = Money { currency: row.currency, minor_units: row.amount };
        taken((&row.order_id, &row.state, &row.wanted), amount, row.method, row.attempts, row.due_at)
    });
    Ok(all.collect())
}

/// What waits to be settled, for each thing that is wanted.
pub async fn waiting(pool: &Pool) -> Result<Vec<Waiting>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT undo, count(*) AS "payments!",
             extract(epoch FROM clock_timestamp() - min(wanted_at))::float8 AS "oldest_seconds!"
           FROM payment.due GROUP BY undo"#
    )
    .fetch_all(pool)
    .await?;
    let waiting = |undo, payments, oldest_seconds| {
        let wanted = if undo { Kind::Undo } else { Kind::Do };
        Waiting { wanted, payments, oldest_seconds }
    };
    Ok(rows.iter().map(|row| waiting(row.undo, row.payments, row.oldest_seconds)).collect())
}

/// Whole milliseconds.
fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
