//! Whether the ledger adds up (I6): every balance is the sum of its entries, and was at each of them; none is below zero; the sum over
//! all accounts, those of the house included, is 0; what expires is a part of the balance; no order has given back more than it took.

mod judge;

use std::collections::HashMap;

use bus::arrival;
use kit::config::Servers;
use kit::postgres::{Failure, Pool};

use crate::postgres::{audit, order};

/// Accounts, or orders, that are read at once.
const PAGE: i64 = 500;
/// Sentences, at most; what is wrong beyond it is counted.
pub const SENTENCES: usize = 100;

/// What an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Accounts of users.
    pub accounts: i64,
    /// Entries of all of them.
    pub entries: i64,
    /// Orders that have asked about points.
    pub orders: i64,
    /// The sum over all accounts, those of the house included: 0.
    pub sum: i64,
    /// What is wrong and where, one sentence each: a hundred at most, and then how many more.
    pub violations: Vec<String>,
    /// How many sentences were left out.
    more: usize,
}

/// Looks at the whole ledger, and whether anything of this service is parked. The service may run meanwhile.
///
/// # Errors
/// PostgreSQL cannot be reached: nothing can be said.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let mut report = ledger(&pool).await?;
    for (consumer, count) in arrival::parked(&pool).await? {
        let parked =
            format!("{count} events of the consumer {consumer} are parked, `booster dlq list` shows them (I10)");
        report.violations.push(parked);
    }
    pool.close().await;
    Ok(report)
}

/// Looks at the whole ledger, page by page: each is read in one moment, so that what happens meanwhile disturbs nothing.
///
/// # Errors
/// PostgreSQL is away, or a page takes longer than a minute.
pub async fn ledger(pool: &Pool) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut after = String::new();
    loop {
        let page = audit::accounts(pool, &after, PAGE).await?;
        page.iter().for_each(|account| judge::account(account, &mut report));
        // Only the page that goes to the end has fewer accounts than it might; whoever has none is on it too.
        let known = page.iter().filter(|account| account.balance.is_some()).map(|account| &account.user_id);
        let number = i64::try_from(known.clone().count()).unwrap_or(i64::MAX);
        match known.max() {
            Some(last) if number >= PAGE => after.clone_from(last),
            Some(_) | None => break,
        }
    }
    after.clear();
    loop {
        let page = audit::orders(pool, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.order_id);
        page.iter().for_each(|order| judge::order(order, &mut report));
    }
    judge::whole(&mut report);
    Ok(report)
}

/// The points that each of these orders has taken and not given back. One that never asked for any is missing.
///
/// # Errors
/// PostgreSQL is away.
pub async fn of_orders(pool: &Pool, order_ids: &[String]) -> Result<HashMap<String, i64>, Failure> {
    order::net(pool, order_ids).await
}
