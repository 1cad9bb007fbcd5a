//! What the services show, against what PostgreSQL has.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Evidence, Rule, Violation};
use crate::orders::kept::{Inside, Order};

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let (kept, shown) = (evidence.kept, evidence.shown);
    let plain = |orders: &[Order]| -> Vec<Order> {
        orders.iter().map(|order| Order { inside: Inside::default(), ..order.clone() }).collect()
    };
    let mut found = differences("", &plain(&kept.orders), &plain(&shown.orders), |order| &order.order_id);
    found.extend(differences("item ", &kept.items, &shown.items, |item| &item.item_id));
    found.extend(differences("payment of ", &kept.payments, &shown.payments, |payment| &payment.order_id));
    found.extend(differences("account ", &kept.accounts, &shown.accounts, |account| &account.user_id));
    found
}

fn differences<T: PartialEq + Debug>(
    what: &str,
    kept: &[T],
    shown: &[T],
    id: impl Fn(&T) -> &String,
) -> Vec<Violation> {
    let mut both: BTreeMap<&str, (Vec<&T>, Vec<&T>)> = BTreeMap::new();
    for one in kept {
        both.entry(id(one)).or_default().0.push(one);
    }
    for one in shown {
        both.entry(id(one)).or_default().1.push(one);
    }
    let apart = both.into_iter().filter(|(_, (kept, shown))| kept != shown);
    let said = |(kept, shown): (Vec<&T>, Vec<&T>)| format!("is kept as {kept:?} and shown as {shown:?}");
    apart.map(|(id, both)| Violation::new(Rule::Face, format!("{what}{id}"), said(both))).collect()
}
