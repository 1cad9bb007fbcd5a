//! What is to be settled: taken by whoever settles it, and counted.

use std::time::Duration;

use kit::money::Money;
use kit::postgres::{Failure, Pool};
use time::OffsetDateTime;

use super::payment::milliseconds;
use crate::payment::{Call, Command, Kind, OrderId, State};

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

/// Takes payments that are due, at most so many, undos first: nobody else takes them for as long as `lease`. What others are taking is
/// passed over. Rows are updated where they stand (`ctid`), so that no plan ever reads the whole table.
pub async fn take(pool: &Pool, limit: i64, lease: Duration) -> Result<Vec<Taken>, Failure> {
    let rows = sqlx::query!(
        r#"WITH undo AS (
             SELECT ctid FROM payment.payment WHERE due_at <= now() AND wanted = 'UNDO'
             ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
           ), charge AS (
             SELECT ctid FROM payment.payment WHERE due_at <= now() AND wanted = 'CHARGE'
             ORDER BY due_at LIMIT $1 - (SELECT count(*) FROM undo) FOR UPDATE SKIP LOCKED
           )
           UPDATE payment.payment SET due_at = clock_timestamp() + $2::bigint * interval '1 millisecond'
           WHERE ctid = ANY(ARRAY(SELECT ctid FROM undo UNION ALL SELECT ctid FROM charge))
           RETURNING order_id, amount, currency, method, state, wanted, attempts, due_at AS "due_at!""#,
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
        r#"SELECT wanted, count(*) AS "payments!",
             extract(epoch FROM clock_timestamp() - min(wanted_at))::float8 AS "oldest_seconds!"
           FROM payment.payment WHERE due_at IS NOT NULL AND wanted IN ('CHARGE', 'UNDO') GROUP BY wanted"#
    )
    .fetch_all(pool)
    .await?;
    let waiting = |wanted: &str, payments, oldest_seconds| {
        Some(Waiting { wanted: Kind::parse(wanted)?, payments, oldest_seconds })
    };
    Ok(rows.iter().filter_map(|row| waiting(&row.wanted, row.payments, row.oldest_seconds)).collect())
}
