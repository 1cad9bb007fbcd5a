//! The provider's log against the table: each charge is a payment's, none is there twice, and what is left of the money is what the
//! table says.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use kit::config::Servers;
use kit::postgres::Pool;

use super::{Report, bound};
use crate::payment::State;
use crate::postgres::audit::{self as rows, Audited};
use crate::provider::words::{self, Line};

/// Payments read at once.
const PAGE: i64 = 1_000;
/// How often what does not agree is looked at before it is believed, and the pause between: the log and the table are not read in one
/// moment.
const LOOKS: usize = 3;
const AGAIN: Duration = Duration::from_secs(1);

/// What the log says of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Logged {
    charges: Vec<(i64, String, Option<String>)>,
    refunds: Vec<i64>,
    declines: usize,
    voids: usize,
}

/// Compares the provider's log with the table. The provider and the service may run meanwhile.
///
/// # Errors
/// PostgreSQL cannot be reached, or the log cannot be read: nothing can be said.
pub async fn against_log(servers: &Servers, path: &Path) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let mut report = Report::default();
    for look in 1..=LOOKS {
        report = compare(&pool, path).await?;
        if report.violations.is_empty() || look == LOOKS {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    bound(&mut report.violations);
    pool.close().await;
    Ok(report)
}

/// The table is read first: of what it says is settled, the log has every line.
async fn compare(pool: &Pool, path: &Path) -> anyhow::Result<Report> {
    let (mut report, mut payments, mut after) = (Report::default(), Vec::new(), String::new());
    loop {
        let page = rows::page(pool, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.order_id);
        payments.extend(page);
    }
    report.payments = i64::try_from(payments.len()).unwrap_or(i64::MAX);
    let unsettled = payments.iter().filter(|payment| !payment.settled).count();
    report.unsettled = i64::try_from(unsettled).unwrap_or(i64::MAX);
    let path: PathBuf = path.to_owned();
    let logged = tokio::task::spawn_blocking(move || read(&path)).await.context("reading the log")??;
    // What was begun since the table was read is not known from it.
    let known: HashSet<&str> = payments.iter().map(|payment| payment.order_id.as_str()).collect();
    let others: Vec<String> = logged.keys().filter(|key| !known.contains(key.as_str())).cloned().collect();
    let later = rows::of_orders(pool, &others).await?;
    let later: HashSet<&str> = later.iter().map(|payment| payment.order_id.as_str()).collect();
    let strangers = others.iter().filter(|key| !later.contains(key.as_str()));
    report.violations.extend(
        strangers.map(|key| format!("{key}: the provider knows this key, and no order has such a payment (I7)")),
    );
    let twice = logged.iter().filter(|(_, logged)| logged.charges.len() > 1);
    report
        .violations
        .extend(twice.map(|(key, logged)| format!("order {key}: it was charged {} times (I7)", logged.charges.len())));
    let nothing = Logged::default();
    for payment in payments.iter().filter(|payment| payment.settled) {
        let logged = logged.get(&payment.order_id).unwrap_or(&nothing);
        report.violations.extend(differences(payment, logged));
    }
    report.violations.sort();
    Ok(report)
}

/// Every key of the log. A last line that is not whole is being written.
fn read(path: &Path) -> anyhow::Result<HashMap<String, Logged>> {
    let shown = path.display();
    let mut reader = BufReader::new(File::open(path).with_context(|| format!("the provider's log {shown}"))?);
    let (mut keys, mut text, mut number) = (HashMap::<String, Logged>::new(), String::new(), 0);
    loop {
        text.clear();
        number += 1;
        reader.read_line(&mut text).with_context(|| format!("the provider's log {shown}"))?;
        if !text.ends_with('\n') {
            return Ok(keys);
        }
        let line: Line = serde_json::from_str(&text).with_context(|| format!("line {number} of the provider's log"))?;
        let logged = keys.entry(line.key).or_default();
        match line.deed {
            words::State::Charged => logged.charges.push((line.amount, line.currency, line.reference)),
            words::State::Refunded => logged.refunds.push(line.amount),
            words::State::Declined => logged.declines += 1,
            words::State::Voided => logged.voids += 1,
            words::State::Unknown => {}
        }
    }
}

/// What a payment that is settled says otherwise than the log.
fn differences(payment: &Audited, logged: &Logged) -> Vec<String> {
    let Audited { order_id, state, amount, currency, refunded, .. } = payment;
    let (charged, was_refunded) =
        (logged.charges.iter().map(|(amount, ..)| amount).sum::<i64>(), logged.refunds.iter().sum::<i64>());
    let says_charged = match State::parse(state) {
        Some(State::Charged | State::Refunded) => *amount,
        Some(State::Pending | State::Declined | State::Voided) | None => 0,
    };
    let mut found = Vec::new();
    if (says_charged, *refunded) != (charged, was_refunded) {
        found.push(format!(
            "order {order_id}: its payment says {says_charged} charged and {refunded} refunded, the provider {charged} and \
             {was_refunded} (I7)"
        ));
    }
    if let Some((_, other, reference)) = logged.charges.first() {
        if other != currency {
            found.push(format!("order {order_id}: its payment is in {currency}, and it was charged in {other} (I7)"));
        }
        if says_charged != 0 && *reference != payment.provider_reference {
            found.push(format!("order {order_id}: its payment names another charge than the provider (I7)"));
        }
    }
    let is_told = match State::parse(state) {
        Some(State::Declined) => logged.declines == 1,
        Some(State::Voided) => logged.voids == 1,
        Some(State::Pending | State::Charged | State::Refunded) | None => logged.declines + logged.voids == 0,
    };
    if !is_told {
        let (declines, voids) = (logged.declines, logged.voids);
        found.push(format!(
            "order {order_id}: its payment is {state}, and the provider has declined it {declines} times and voided it {voids} \
             times (I7)"
        ));
    }
    found
}
