//! How an order may end, and what it costs.

use std::collections::BTreeSet;

use proto::order::v1::OrderState;

use super::{Case, Evidence, Rule, Violation};
use crate::orders::kept::{Line, Order, rank};
use crate::orders::scene::{Method, Purse, Wish};
use crate::orders::told::Asked;

/// How an order may end that nobody cancels.
struct Fate {
    /// Reasons for which it may fail.
    may_fail: BTreeSet<&'static str>,
    may_be_paid: bool,
}

const BY_USER: &str = "CANCELLED_BY_USER";
/// What the steps say of a participant that did not answer in time.
const SILENT: [&str; 3] = ["COUPON_UNUSABLE", "INSUFFICIENT_POINTS", "PAYMENT_UNSETTLED"];

pub(super) fn check(evidence: &Evidence<'_>, case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(end(evidence, case).map(|(rule, said)| Violation::new(rule, &case.order.order_id, said)));
    let amounts = amounts(evidence, case);
    found.extend(amounts.map(|said| Violation::new(Rule::Amounts, &case.order.order_id, said)));
    found
}

fn end(evidence: &Evidence<'_>, case: &Case<'_>) -> Option<(Rule, String)> {
    let Case { order, told, .. } = case;
    let (state, reason) = (order.state_name(), order.reason.as_str());
    let wrong = |said: String| Some((Rule::Fate, said));
    match order.state {
        OrderState::Unspecified | OrderState::Pending | OrderState::Cancelling => {
            Some((Rule::Ends, format!("is still {state}")))
        }
        OrderState::Cancelled if reason != BY_USER => wrong(format!("is CANCELLED for {reason:?}, and not {BY_USER}")),
        OrderState::Cancelled if !told.cancel.may_be_granted() => {
            wrong("is CANCELLED, and nobody was told that it would be".to_owned())
        }
        OrderState::Cancelled => None,
        OrderState::Paid
        | OrderState::Preparing
        | OrderState::Shipping
        | OrderState::Delivered
        | OrderState::Failed
            if told.cancel.granted > 0 =>
        {
            wrong(format!("is {state}, and its user was told that it is cancelled"))
        }
        OrderState::Failed if order.was_paid => wrong(format!("is {state}, and had been paid")),
        OrderState::Failed => {
            let fate = fate(evidence, case);
            (!fate.may_fail.contains(reason)).then(|| {
                let may = Vec::from_iter(fate.may_fail).join(" or ");
                (
                    Rule::Fate,
                    format!("is FAILED for {reason:?}; {}", if may.is_empty() { "it had to be paid" } else { &may }),
                )
            })
        }
        OrderState::Paid | OrderState::Preparing | OrderState::Shipping | OrderState::Delivered => {
            let fate = fate(evidence, case);
            if !fate.may_be_paid {
                let must = Vec::from_iter(fate.may_fail).join(" or ");
                return wrong(format!("is {state}, and had to fail for {must}"));
            }
            standing(case).and_then(wrong)
        }
    }
}

fn fate(evidence: &Evidence<'_>, case: &Case<'_>) -> Fate {
    let Case { wish, order, .. } = case;
    let mut may_fail = BTreeSet::new();
    let needs_charge = order.charge() > 0;
    if order.inside.is_silent && (evidence.is_hurt || matches!(wish.method, Method::Drop | Method::Late)) {
        may_fail.extend(SILENT.into_iter().filter(|silent| *silent == order.reason));
    }
    let fails = |mut may_fail: BTreeSet<&'static str>, reason| {
        may_fail.insert(reason);
        Fate { may_fail, may_be_paid: false }
    };
    if wish.is_thief() {
        return fails(may_fail, "COUPON_UNUSABLE");
    }
    if wish.coupon.is_some_and(|coupon| coupon.is_contended) {
        may_fail.insert("COUPON_UNUSABLE");
    }
    let needs_points = wish.points.min(order.total) > 0;
    match evidence.scene.user_of(wish).purse {
        Purse::Empty if needs_points => return fails(may_fail, "INSUFFICIENT_POINTS"),
        Purse::Tight if needs_points => {
            may_fail.insert("INSUFFICIENT_POINTS");
        }
        Purse::Full | Purse::Tight | Purse::Empty => {}
    }
    if wish.method == Method::Decline && needs_charge {
        return fails(may_fail, "PAYMENT_DECLINED");
    }
    Fate { may_fail, may_be_paid: true }
}

/// A paid order stands where its user was told to have moved it, and was cancelled while that could be.
fn standing(case: &Case<'_>) -> Option<String> {
    let Case { order, told, .. } = case;
    let stands = rank(order.state)?;
    let is_granted = |(_, asked): &(&usize, &Asked<'_>)| asked.granted > 0;
    let least = told.advance.iter().filter(is_granted).map(|(to, _)| *to).max().unwrap_or(0);
    let most = told.advance.iter().filter(|(_, asked)| asked.may_be_granted()).map(|(to, _)| *to).max().unwrap_or(0);
    let state = order.state_name();
    if stands < least || stands > most {
        return Some(format!("is {state}, and its user was told that it was moved on {least} times"));
    }
    if let Some((reason, _)) = told.advance.values().flat_map(|asked| &asked.refused).next() {
        return Some(format!("is {state}, and its user was refused {reason} when he moved it on"));
    }
    let is_cancellable = matches!(order.state, OrderState::Paid | OrderState::Preparing);
    let refused = told.cancel.refused.iter().find(|(_, open)| *open == 0).filter(|_| is_cancellable);
    refused.map(|(reason, _)| format!("is {state}, and its user was refused {reason} when he cancelled it"))
}

fn amounts(evidence: &Evidence<'_>, case: &Case<'_>) -> Option<String> {
    let Case { wish, order, .. } = case;
    let (subtotal, mut wanted) = (evidence.scene.subtotal(wish), lines(evidence, wish));
    let mut lines = order.lines.clone();
    wanted.sort();
    lines.sort();
    if lines != wanted || order.subtotal != subtotal {
        return Some(format!("has lines {lines:?} for {}, and {wanted:?} for {subtotal} were wanted", order.subtotal));
    }
    let off = wish.coupon.map(|coupon| evidence.scene.deals[coupon.deal].prize.off(subtotal));
    let discounts = discounts(order, off.unwrap_or(0));
    if !discounts.contains(&order.discount) || order.total != subtotal - order.discount {
        let Order { discount, total, .. } = order;
        return Some(format!("costs {total} after a discount of {discount}, and the discount is one of {discounts:?}"));
    }
    let points = wish.points.min(order.total);
    if order.is_sale() && order.points != points {
        return Some(format!("uses {} points, and {points} were to be used", order.points));
    }
    (order.points > wish.points).then(|| format!("uses {} points, and {} were asked for", order.points, wish.points))
}

/// Until the coupon step has ended nothing is taken off; whoever was undone may have ended before.
fn discounts(order: &Order, off: i64) -> Vec<i64> {
    match (order.state, order.reason.as_str()) {
        (OrderState::Paid | OrderState::Preparing | OrderState::Shipping | OrderState::Delivered, _)
        | (_, "INSUFFICIENT_POINTS" | "PAYMENT_DECLINED" | "PAYMENT_UNSETTLED") => vec![off],
        (_, "COUPON_UNUSABLE") => vec![0],
        (
            OrderState::Unspecified
            | OrderState::Pending
            | OrderState::Cancelling
            | OrderState::Cancelled
            | OrderState::Failed,
            _,
        ) => vec![0, off],
    }
}

fn lines(evidence: &Evidence<'_>, wish: &Wish) -> Vec<Line> {
    let line = |line: &crate::orders::scene::Line| {
        let item = &evidence.scene.items[line.item];
        Line { item_id: item.item_id.clone(), quantity: line.quantity, unit_price: item.price }
    };
    wish.lines.iter().map(line).collect()
}
