//! The audit: payments agree with themselves, with what the provider has written down, and nothing is parked.

mod log;

use std::collections::HashMap;

use bus::arrival;
use kit::config::Servers;
use kit::postgres::{Failure, Pool};

use crate::payment::State;
use crate::postgres::audit as rows;

pub use log::against_log;

/// Sentences of one kind, at most; the rest is counted.
const SENTENCES: usize = 20;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Payments looked at.
    pub payments: i64,
    /// Those of them that are still to be settled.
    pub unsettled: i64,
    /// Those of them that were due a minute ago: nobody settles, or the provider is away. Wrong only if it stays so.
    pub overdue: i64,
    /// What is wrong and where, one sentence each.
    pub violations: Vec<String>,
}

/// What one order has paid, as far as the tables tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// Where its payment stands.
    pub state: State,
    /// What was charged, in minor units; 0 where nothing was.
    pub charged: i64,
    /// What of it was given back, in minor units.
    pub refunded: i64,
    /// Of which currency.
    pub currency: String,
}

/// Looks at all payments. The service may run meanwhile.
///
/// # Errors
/// PostgreSQL cannot be reached: nothing can be said.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let counted = rows::count(&pool).await?;
    let (payments, unsettled, overdue) = (counted.payments, counted.unsettled, counted.overdue);
    let most = i64::try_from(SENTENCES).unwrap_or(i64::MAX);
    let mut violations = rows::contradictions(&pool, most + 1).await?;
    bound(&mut violations);
    for (consumer, count) in arrival::parked(&pool).await? {
        violations
            .push(format!("{count} events of the consumer {consumer} are parked, `booster dlq list` shows them (I10)"));
    }
    pool.close().await;
    Ok(Report { payments, unsettled, overdue, violations })
}

/// What these orders have paid; an order without a payment is left out.
///
/// # Errors
/// PostgreSQL is away.
pub async fn of_orders(pool: &Pool, order_ids: &[String]) -> Result<HashMap<String, Paid>, Failure> {
    let rows = rows::of_orders(pool, order_ids).await?;
    let paid = rows.into_iter().filter_map(|row| {
        let state = State::parse(&row.state)?;
        let charged = if matches!(state, State::Charged | State::Refunded) { row.amount } else { 0 };
        Some((row.order_id, Paid { state, charged, refunded: row.refunded, currency: row.currency }))
    });
    Ok(paid.collect())
}

/// The first sentences, and that there are more.
fn bound(violations: &mut Vec<String>) {
    let more = violations.len().saturating_sub(SENTENCES);
    violations.truncate(SENTENCES);
    violations.extend((more > 0).then(|| "... and more".to_owned()));
}
