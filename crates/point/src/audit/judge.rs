//! What is wrong with an account, with an order, and with all of them. Pure.

use super::{Report, SENTENCES};
use crate::postgres::audit::{AuditedAccount, AuditedOrder};

/// What is wrong with an account, beside its entries and its lots.
pub(super) fn account(account: &AuditedAccount, report: &mut Report) {
    let AuditedAccount { user_id, entries, amount, house, lots, .. } = account;
    let balance = account.balance.unwrap_or_default();
    report.accounts += i64::from(account.balance.is_some());
    report.entries += entries;
    report.sum += balance + house;
    let mut found = Vec::new();
    if account.balance.is_none() {
        found
            .push(format!("{user_id}: there are {entries} entries and {lots} points that expire, and no account (I6)"));
    } else {
        if balance != *amount {
            found.push(format!("{user_id}: the balance is {balance}, and the sum of the entries {amount} (I6)"));
        }
        if let Some(version) = account.version.filter(|version| version != entries) {
            found.push(format!("{user_id}: {version} entries are counted, and there are {entries} (I6)"));
        }
    }
    if balance < 0 {
        found.push(format!("{user_id}: the balance is {balance}, below zero (I6)"));
    }
    if let Some(nth) = account.broken_nth {
        found.push(format!("{user_id}: entry {nth} does not follow from the one before (I6)"));
    }
    if let Some(nth) = account.negative_nth {
        found.push(format!("{user_id}: entry {nth} leaves less than nothing (I6)"));
    }
    if let Some(nth) = account.stray_nth {
        found.push(format!("{user_id}: entry {nth} is for an order that does not know of it (I8)"));
    }
    if account.balance.is_some() && *lots > balance.max(0) {
        found.push(format!("{user_id}: {lots} points are to expire, and the balance is {balance} (I6)"));
    }
    if account.balance.is_some() && account.next_expiry != account.first_lot {
        found.push(format!("{user_id}: the account and its lots disagree about what expires next (I6)"));
    }
    report.say(found);
}

/// What is wrong with an order, beside the entries that it names.
pub(super) fn order(order: &AuditedOrder, report: &mut Report) {
    let AuditedOrder { order_id, taken, refunded, .. } = order;
    report.orders += 1;
    let mut found = Vec::new();
    if refunded > taken {
        found.push(format!("order {order_id}: {refunded} points were given back, and {taken} taken (I6)"));
    }
    if order.deducted.unwrap_or_default() != *taken || order.names_taken != (*taken > 0) {
        let said = described(order.deducted);
        found.push(format!("order {order_id}: {taken} points were taken, and its entry says {said} (I8)"));
    }
    if order.given_back.unwrap_or_default() != *refunded || order.names_refunded != (*refunded > 0) {
        let said = described(order.given_back);
        found.push(format!("order {order_id}: {refunded} points were given back, and its entry says {said} (I8)"));
    }
    if order.undone && refunded != taken {
        found.push(format!("order {order_id}: it is undone, and of {taken} points {refunded} were given back (I8)"));
    }
    report.say(found);
}

/// What is wrong with all accounts together.
pub(super) fn whole(report: &mut Report) {
    if report.sum != 0 {
        let sum = report.sum;
        report.violations.insert(0, format!("the sum over all accounts is {sum}, and not 0 (I6)"));
    }
    if report.more > 0 {
        report.violations.push(format!("... and {} more", report.more));
    }
}

impl Report {
    fn say(&mut self, found: Vec<String>) {
        for sentence in found {
            if self.violations.len() < SENTENCES {
                self.violations.push(sentence);
            } else {
                self.more += 1;
            }
        }
    }
}

fn described(amount: Option<i64>) -> String {
    amount.map_or_else(|| "nothing".to_owned(), |amount| amount.to_string())
}
