//! What is wrong with an order, given what everybody says of it; and with what was sold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use order::audit::End;
use payment::audit::Paid;
use payment::payment::State as Payment;

/// What everybody says of some orders, by their names.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The coupons that are redeemed by it.
    pub(super) redeemed: HashMap<String, Vec<String>>,
    /// Those of these coupons that are over with their deal: an order that is undone keeps them.
    pub(super) over: HashSet<String>,
    /// The points that it has taken and not given back.
    pub(super) points: HashMap<String, i64>,
    /// What it has paid.
    pub(super) paid: HashMap<String, Paid>,
}

/// What is wrong with an order that has ended.
pub(super) fn order(end: &End, effects: &Effects) -> Vec<String> {
    let found = [coupon(end, effects), points(end, effects), payment(end, effects)];
    let sentences = found.into_iter().flatten();
    sentences.map(|what| format!("order {}: it is {}, and {what}", end.order_id, end.state.as_str())).collect()
}

/// Whoever has paid has redeemed its coupon and no other; what was undone has none.
fn coupon(end: &End, effects: &Effects) -> Option<String> {
    let redeemed = effects.redeemed.get(&end.order_id).map(Vec::as_slice).unwrap_or_default();
    let expected: Vec<&String> = end.coupon_id.iter().filter(|_| end.counted).collect();
    let is_left = |coupon_id: &&String| end.counted || !effects.over.contains(*coupon_id);
    let found: Vec<&String> = redeemed.iter().filter(is_left).collect();
    (found != expected).then(|| match (expected.first(), redeemed) {
        (Some(coupon_id), []) => format!("its coupon {coupon_id} is not redeemed by it (I8)"),
        (Some(coupon_id), others) => {
            format!("{} are redeemed by it, and not {coupon_id} alone (I8)", others.join(", "))
        }
        (None, others) => format!("{} is redeemed by it (I8)", others.join(", ")),
    })
}

/// Whoever has paid has taken the points that it uses; what was undone has given all of them back.
fn points(end: &End, effects: &Effects) -> Option<String> {
    let taken = effects.points.get(&end.order_id).copied().unwrap_or_default();
    let expected = if end.counted { end.points } else { 0 };
    (taken != expected)
        .then(|| format!("it has taken {taken} points and not given them back, which should be {expected} (I8)"))
}

/// Whoever has paid is charged its total less its points, and nothing of it is given back; what was undone has not paid.
fn payment(end: &End, effects: &Effects) -> Option<String> {
    let expected = if end.counted { end.charge } else { 0 };
    let Some(paid) = effects.paid.get(&end.order_id) else {
        return (expected != 0).then(|| format!("nothing of {expected} {} is charged (I7)", end.currency));
    };
    let Paid { state, charged, refunded, currency } = paid;
    if *state == Payment::Pending {
        return Some("its payment is still PENDING (I8)".to_owned());
    }
    let is_right = if end.counted { (*charged, *refunded) == (expected, 0) } else { charged == refunded };
    let is_currency = currency == &end.currency || *charged == 0;
    (!is_right || !is_currency).then(|| {
        format!(
            "{charged} {currency} are charged and {refunded} refunded, which should leave {expected} {} (I7)",
            end.currency
        )
    })
}

/// How many of each item were sold by orders that count.
#[derive(Debug, Default)]
pub(super) struct Sold(BTreeMap<String, Number>);

#[derive(Debug, Default, Clone, Copy)]
struct Number {
    /// By orders that count.
    sold: i64,
    /// By orders that are on their way: they may count already, or still.
    perhaps: i64,
}

impl Sold {
    /// One order more.
    pub(super) fn count(&mut self, end: &End) {
        for (item_id, quantity) in &end.lines {
            let number = self.0.entry(item_id.clone()).or_default();
            let counts = if end.counted { &mut number.sold } else { &mut number.perhaps };
            *counts += if end.counted || !end.finished { *quantity } else { 0 };
        }
    }

    /// What is wrong with what ranking says of all time.
    pub(super) fn against(&self, ranked: &HashMap<String, i64>) -> Vec<String> {
        let items: BTreeSet<&String> = self.0.keys().chain(ranked.keys()).collect();
        let wrong = items.into_iter().filter_map(|item_id| {
            let Number { sold, perhaps } = self.0.get(item_id).copied().unwrap_or_default();
            let said = ranked.get(item_id).copied().unwrap_or_default();
            let is_right = (sold..=sold + perhaps).contains(&said);
            (!is_right)
                .then(|| format!("item {item_id}: orders that count have sold {sold}, and ranking says {said} (I13)"))
        });
        wrong.collect()
    }
}

#[cfg(test)]
mod tests;
