//! The provider's log, against the payments and the orders: what it has done is what they say, and nothing else.

use std::collections::BTreeMap;

use proto::payment::v1::PaymentState;

use super::{Evidence, Rule, Violation};
use crate::orders::deeds::{Deed, Kind};

/// What the provider has done for one key.
#[derive(Default)]
struct Done {
    charges: usize,
    charged: i64,
    refunded: i64,
}

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let Some(deeds) = evidence.deeds else { return Vec::new() };
    let mut done = sum(deeds);
    let mut found = Vec::new();
    let states: BTreeMap<&str, PaymentState> =
        evidence.kept.payments.iter().map(|payment| (payment.order_id.as_str(), payment.state)).collect();
    for order in &evidence.kept.orders {
        let id = order.order_id.as_str();
        let done = done.remove(id).unwrap_or_default();
        let right = if order.is_sale() { order.charge() } else { 0 };
        let said = said(&done, order.is_sale() || order.is_undone(), right, states.get(id).copied());
        found.extend(said.map(|said| Violation::new(Rule::Log, id, said)));
    }
    // On servers that others use too, what is left is theirs.
    let strangers = done.into_iter().filter(|_| evidence.is_alone);
    found.extend(strangers.map(|(key, done)| {
        let said = format!("was charged {} times at the provider, and there is no such order", done.charges);
        Violation::new(Rule::Log, key, said)
    }));
    found
}

fn sum(deeds: &[Deed]) -> BTreeMap<&str, Done> {
    let mut done: BTreeMap<&str, Done> = BTreeMap::new();
    for deed in deeds {
        let done = done.entry(&deed.key).or_default();
        match deed.kind {
            Kind::Charged => {
                done.charges += 1;
                done.charged += deed.amount;
            }
            Kind::Refunded => done.refunded += deed.amount,
            Kind::Declined | Kind::Voided => {}
        }
    }
    done
}

fn said(done: &Done, is_over: bool, right: i64, state: Option<PaymentState>) -> Option<String> {
    let Done { charges, charged, refunded } = done;
    if *charges > 1 {
        return Some(format!("was charged {charges} times at the provider, {charged} in all"));
    }
    if is_over && charged - refunded != right {
        return Some(format!(
            "was charged {charged} and refunded {refunded} at the provider, and it must be {right} in all"
        ));
    }
    let says_charged = matches!(state, Some(PaymentState::Charged | PaymentState::Refunded));
    if is_over && (*charges > 0) != says_charged {
        let state = state.map_or("missing", |state| state.as_str_name().trim_start_matches("PAYMENT_STATE_"));
        return Some(format!("was charged {charges} times at the provider, and its payment is {state}"));
    }
    None
}
