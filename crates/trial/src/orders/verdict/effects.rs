//! The effects of each order, by how it ended: all of them once, or none.

use std::collections::BTreeMap;

use proto::payment::v1::PaymentState;

use super::{Case, Evidence, Rule, Violation};
use crate::orders::kept::{Coupon, Entry, Order, Payment};

/// What each order has done to others. An order that has not ended is no case of theirs.
pub(super) fn check(evidence: &Evidence<'_>, cases: &[Case<'_>]) -> Vec<Violation> {
    let mut entries: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &evidence.kept.entries {
        entries.entry(entry.order_id.as_deref().unwrap_or_default()).or_default().push(entry);
    }
    let mut payments: BTreeMap<&str, Vec<&Payment>> = BTreeMap::new();
    for payment in &evidence.kept.payments {
        payments.entry(&payment.order_id).or_default().push(payment);
    }
    let mut found = Vec::new();
    for Case { order, .. } in cases.iter().filter(|case| case.order.is_sale() || case.order.is_undone()) {
        let entries = entries.get(order.order_id.as_str()).map(Vec::as_slice).unwrap_or_default();
        found.extend(points(order, entries).map(|said| Violation::new(Rule::Points, &order.order_id, said)));
        let payments = payments.get(order.order_id.as_str()).map(Vec::as_slice).unwrap_or_default();
        found.extend(charge(order, payments).map(|said| Violation::new(Rule::Charge, &order.order_id, said)));
    }
    found.extend(coupons(evidence, cases));
    found
}

fn points(order: &Order, entries: &[&Entry]) -> Option<String> {
    let state = order.state_name();
    let of = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).collect::<Vec<_>>();
    let (taken, given) = (of("DEDUCT"), of("REFUND"));
    if taken.len() > 1 || given.len() > 1 {
        return Some(format!("has taken points {} times and given them back {} times", taken.len(), given.len()));
    }
    if let Some(entry) = entries.iter().find(|entry| entry.user_id != order.user_id) {
        return Some(format!("is of {}, and has changed the account of {}", order.user_id, entry.user_id));
    }
    let net: i64 = entries.iter().map(|entry| -entry.amount).sum();
    let right = if order.is_sale() { order.points } else { 0 };
    (net != right).then(|| format!("is {state} and has used {net} points, and it must be {right}"))
}

fn charge(order: &Order, payments: &[&Payment]) -> Option<String> {
    let (state, charge) = (order.state_name(), order.charge());
    let payment = match payments {
        [] if order.is_sale() && charge > 0 => return Some(format!("is {state}, and was never charged {charge}")),
        [] => return None,
        [payment] => payment,
        [_, _, ..] => return Some(format!("has {} payments", payments.len())),
    };
    let Payment { amount, refunded, .. } = payment;
    if *amount != charge || payment.user_id != order.user_id {
        return Some(format!("costs {charge}, and its payment is of {amount} by {}", payment.user_id));
    }
    let name = payment.state.as_str_name().trim_start_matches("PAYMENT_STATE_");
    let is_right = match payment.state {
        PaymentState::Charged => order.is_sale() && *refunded == 0,
        PaymentState::Refunded => order.is_undone() && refunded == amount,
        PaymentState::Declined | PaymentState::Voided => order.is_undone() && *refunded == 0,
        PaymentState::Pending | PaymentState::Unspecified => false,
    };
    if !is_right {
        return Some(format!("is {state}, and its payment of {amount} is {name} with {refunded} refunded"));
    }
    let is_declined = payment.state == PaymentState::Declined;
    (order.reason == "PAYMENT_DECLINED" && !is_declined)
        .then(|| format!("is {state} for PAYMENT_DECLINED, and its payment is {name}"))
}

/// Each coupon, in Redis and then in PostgreSQL: redeemed by the one paid order that wanted it, or by none.
fn coupons(evidence: &Evidence<'_>, cases: &[Case<'_>]) -> Vec<Violation> {
    let mut redeemed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for Case { order, .. } in cases.iter().filter(|case| case.order.is_sale()) {
        let Some(coupon_id) = &order.coupon_id else { continue };
        if let Some(other) = redeemed.insert(coupon_id, &order.order_id) {
            let said = format!("is {}, with the coupon {coupon_id} that {other} has redeemed", order.state_name());
            found.push(Violation::new(Rule::Coupon, &order.order_id, said));
        }
    }
    let rules = [(Rule::Coupon, &evidence.shown.coupons), (Rule::CouponRow, &evidence.kept.coupons)];
    for (rule, coupons) in rules {
        let coupons: BTreeMap<&str, &Coupon> =
            coupons.iter().map(|coupon| (coupon.coupon_id.as_str(), coupon)).collect();
        for coupon_id in evidence.coupons.values() {
            let right = redeemed.get(coupon_id.as_str()).copied();
            let said = coupon(coupons.get(coupon_id.as_str()).copied(), right);
            let about = right.map_or_else(|| format!("coupon {coupon_id}"), str::to_owned);
            found.extend(said.map(|said| Violation::new(rule, about, said)));
        }
    }
    found
}

fn coupon(kept: Option<&Coupon>, right: Option<&str>) -> Option<String> {
    let Some(Coupon { coupon_id, state, order_id, .. }) = kept else {
        return Some("was claimed, and its coupon is not there".to_owned());
    };
    match (right, order_id.as_deref(), state.as_str()) {
        (Some(right), Some(order_id), "REDEEMED") if right == order_id => None,
        (None, None, "ISSUED") => None,
        (Some(_), by, _) => {
            Some(format!("is paid, and its coupon {coupon_id} is {state}, by {}", by.unwrap_or("nobody")))
        }
        (None, by, _) => Some(format!("is {state} by {}, and no order that is paid has it", by.unwrap_or("nobody"))),
    }
}
