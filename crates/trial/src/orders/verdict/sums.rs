//! What all orders together have done: to stock, accounts and boards.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Rule, Violation};
use crate::orders::kept::{Item, Order, Score};

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = stock(evidence);
    found.extend(balances(evidence));
    found.extend(scores(evidence));
    found
}

/// Stock is taken when an order is placed, and given back when it ends undone.
fn stock(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
    for order in evidence.kept.orders.iter().filter(|order| !order.is_undone()) {
        for line in &order.lines {
            *sold.entry(&line.item_id).or_default() += line.quantity;
        }
    }
    let kept: BTreeMap<&str, &Item> = evidence.kept.items.iter().map(|item| (item.item_id.as_str(), item)).collect();
    let mut found = Vec::new();
    for item in &evidence.scene.items {
        let right = sold.get(item.item_id.as_str()).copied().unwrap_or(0);
        let put = item.stock;
        let said = match kept.get(item.item_id.as_str()) {
            None => "was put in, and is not there".to_owned(),
            Some(kept) if kept.sold != right || kept.stock != put - right || kept.stock < 0 => {
                let Item { stock, sold, .. } = kept;
                format!("has {stock} on hand and {sold} sold of {put} that were put in, and its orders have {right}")
            }
            Some(_) => continue,
        };
        found.push(Violation::new(Rule::Stock, format!("item {}", item.item_id), said));
    }
    found
}

fn balances(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut used: BTreeMap<&str, i64> = BTreeMap::new();
    for order in evidence.kept.orders.iter().filter(|order| order.is_sale()) {
        *used.entry(&order.user_id).or_default() += order.points;
    }
    let mut entries: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for entry in &evidence.kept.entries {
        entries.entry(&entry.user_id).or_default().push((entry.amount, entry.balance_after));
    }
    let accounts = evidence.kept.accounts.iter().map(|account| (account.user_id.as_str(), account.balance));
    let balances: BTreeMap<&str, i64> = accounts.collect();
    let mut found = Vec::new();
    for user in &evidence.scene.users {
        let id = user.user_id.as_str();
        let balance = balances.get(id).copied().unwrap_or(0);
        let right = user.earned - used.get(id).copied().unwrap_or(0);
        let about = || format!("account {id}");
        if balance != right {
            let said =
                format!("has {balance}: {} were earned, and {right} are left by what paid orders used", user.earned);
            found.push(Violation::new(Rule::Balance, about(), said));
        }
        let entries = entries.get(id).map(Vec::as_slice).unwrap_or_default();
        if let Some(said) = course(entries, balance) {
            found.push(Violation::new(Rule::Balance, about(), said));
        }
    }
    found
}

/// The entries of one account, in their order: each tells the sum up to it, none is below zero, and the last one is the balance.
fn course(entries: &[(i64, i64)], balance: i64) -> Option<String> {
    let mut sum = 0;
    for (number, (amount, after)) in entries.iter().enumerate() {
        sum += amount;
        if sum != *after || sum < 0 {
            return Some(format!("has {sum} after entry {}, which says {after}", number + 1));
        }
    }
    (sum != balance).then(|| format!("has {balance}, and its entries are {sum}"))
}

fn scores(evidence: &Evidence<'_>) -> Vec<Violation> {
    let items: BTreeSet<&str> = evidence.scene.items.iter().map(|item| item.item_id.as_str()).collect();
    let mut days: Scores<'_> = BTreeMap::new();
    let mut all: Scores<'_> = BTreeMap::new();
    for order in evidence.kept.orders.iter().filter(|order| order.is_sale()) {
        let Order { lines, inside, .. } = order;
        for line in lines {
            let day = inside.day.as_deref().unwrap_or_default();
            *days.entry((day, &line.item_id)).or_default() += line.quantity;
            *all.entry(("", &line.item_id)).or_default() += line.quantity;
        }
    }
    let mut found = differences(Rule::Scores, &days, &read(&evidence.kept.days, &items));
    found.extend(differences(Rule::Scores, &all, &read(&evidence.kept.all_time, &items)));
    found.extend(differences(Rule::Boards, &days, &read(&evidence.shown.days, &items)));
    found.extend(top(&all, evidence));
    found
}

/// By day and item. An item without a score is not on a board.
type Scores<'a> = BTreeMap<(&'a str, &'a str), i64>;

fn read<'a>(scores: &'a [Score], items: &BTreeSet<&str>) -> Scores<'a> {
    let ours = scores.iter().filter(|score| score.score != 0 && items.contains(score.item_id.as_str()));
    ours.map(|score| ((score.day.as_str(), score.item_id.as_str()), score.score)).collect()
}

fn differences(rule: Rule, right: &Scores<'_>, kept: &Scores<'_>) -> Vec<Violation> {
    let places: BTreeSet<_> = right.keys().chain(kept.keys()).collect();
    let mut found = Vec::new();
    for place in places {
        let [right, kept] = [right, kept].map(|scores| scores.get(place).copied().unwrap_or(0));
        if right != kept {
            let day = if place.0.is_empty() { "all time" } else { place.0 };
            let said = format!("has {kept} on the board of {day}, and its orders have {right}");
            found.push(Violation::new(rule, format!("item {}", place.1), said));
        }
    }
    found
}

/// The top of all time has our items with their scores, and none of ours is missing that is better than its last.
fn top(all: &Scores<'_>, evidence: &Evidence<'_>) -> Vec<Violation> {
    let top = &evidence.shown.top;
    let shown: BTreeMap<&str, i64> = top.iter().map(|score| (score.item_id.as_str(), score.score)).collect();
    // The higher score first, and of two the smaller id.
    let last = top.last().map(|last| (-last.score, last.item_id.as_str())).filter(|_| top.len() >= TOP);
    let mut found = Vec::new();
    for item in &evidence.scene.items {
        let id = item.item_id.as_str();
        let right = all.get(&("", id)).copied().unwrap_or(0);
        let belongs = right > 0 && last.is_none_or(|last| (-right, id) <= last);
        let said = match shown.get(id) {
            Some(score) if *score != right => {
                format!("has {score} at the top of all time, and its orders have {right}")
            }
            None if belongs => format!("has {right} and is missing at the top of all time"),
            Some(_) | None => continue,
        };
        found.push(Violation::new(Rule::Boards, format!("item {id}"), said));
    }
    found
}

/// How many the top of all time shows.
pub(in crate::orders) const TOP: usize = 5;
