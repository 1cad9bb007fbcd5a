//! The audit: the stock of every item agrees with the orders that took it, no order is unfinished for long, and nothing is parked.

use std::time::Duration;

use bus::arrival;
use kit::config::Servers;
use kit::postgres::{Failure, Pool};

use crate::order::State;
use crate::postgres::audit as rows;

/// An order that is unfinished for longer should have been looked at by an operator.
pub const UNFINISHED_MOST: Duration = Duration::from_secs(3_600);
/// Unfinished orders that are named, at most.
const NAMED: i64 = 100;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Items looked at.
    pub items: i64,
    /// Orders looked at.
    pub orders: i64,
    /// Of these, how many are unfinished.
    pub unfinished: i64,
    /// What is wrong and where, one sentence each.
    pub violations: Vec<String>,
}

/// How an order ends, as far as its participants are concerned.
#[derive(Debug, Clone)]
pub struct End {
    /// Which order.
    pub order_id: String,
    /// Whose.
    pub user_id: String,
    /// Where it stands.
    pub state: State,
    /// With which coupon.
    pub coupon_id: Option<String>,
    /// With how many points.
    pub points: i64,
    /// What is charged, in minor units.
    pub charge: i64,
    /// In which currency.
    pub currency: String,
    /// Whether nobody is asked for anything any more.
    pub finished: bool,
    /// Whether it counts as a sale.
    pub counted: bool,
    /// What was ordered: item and quantity.
    pub lines: Vec<(String, i64)>,
}

/// Looks at all items and orders. The services may run meanwhile.
///
/// # Errors
/// PostgreSQL cannot be reached: nothing can be said.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let (items, orders, unfinished) = rows::counts(&pool).await?;
    let mut report = Report { items, orders, unfinished, violations: Vec::new() };
    for odd in rows::odd_items(&pool).await? {
        report.violations.push(format!(
            "{}: {} of it are sold, and orders that were not undone have {} (I8)",
            odd.item_id, odd.sold, odd.ordered
        ));
    }
    for (order_id, state) in rows::stuck(&pool, UNFINISHED_MOST.as_secs_f64(), NAMED).await? {
        report.violations.push(format!("{order_id}: it is {state} for more than an hour (I8)"));
    }
    for (consumer, count) in arrival::parked(&pool).await? {
        report
            .violations
            .push(format!("{count} events of the consumer {consumer} are parked, `booster dlq list` shows them (I10)"));
    }
    pool.close().await;
    Ok(report)
}

/// Orders after `after`, in the order of their names.
///
/// # Errors
/// PostgreSQL is away.
pub async fn ends(pool: &Pool, after: &str, limit: i64) -> Result<Vec<End>, Failure> {
    let rows = rows::ends(pool, after, limit).await?;
    let end = |row: rows::Row| {
        let state = State::parse(&row.state)?;
        Some(End {
            order_id: row.order_id,
            user_id: row.user_id,
            state,
            coupon_id: row.coupon_id,
            points: row.points,
            charge: row.charge,
            currency: row.currency,
            finished: !state.is_unfinished() && !row.is_due,
            counted: state.is_sale(),
            lines: row.lines.0.into_iter().map(|line| (line.item_id, line.quantity)).collect(),
        })
    };
    Ok(rows.into_iter().filter_map(end).collect())
}
