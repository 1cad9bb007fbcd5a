//! What was told to those who placed orders.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Rule, Violation};
use crate::orders::answer::Outcome;
use crate::orders::kept::Order;
use crate::orders::scene::Wish;
use crate::orders::told::Told;

/// One request, its number, and the orders that it has made.
struct Request<'a> {
    id: String,
    wish: &'a Wish,
    told: &'a Told<'a>,
    made: &'a [&'a Order],
}

pub(super) fn check(
    evidence: &Evidence<'_>,
    told: &BTreeMap<usize, Told<'_>>,
    made: &BTreeMap<usize, Vec<&Order>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, told) in told {
        let request = Request {
            id: format!("request {}", evidence.scene.request_id(*number)),
            wish: &evidence.scene.wishes[*number],
            told,
            made: made.get(number).map(Vec::as_slice).unwrap_or_default(),
        };
        found.extend(one_order(&request));
        found.extend(no_other(&request));
        found.extend(told.refused.iter().filter_map(|refusal| baseless(evidence, &request, refusal)));
        found.extend(told.forged.iter().filter_map(|outcome| forged(&request, outcome)));
    }
    let asked: BTreeSet<&str> = made.values().flatten().map(|order| order.order_id.as_str()).collect();
    let unasked = evidence.kept.orders.iter().filter(|order| !asked.contains(order.order_id.as_str()));
    found.extend(unasked.map(|order| {
        let said = format!("is an order of {} that no request of this run has placed", order.user_id);
        Violation::new(Rule::NoOther, &order.order_id, said)
    }));
    found
}

fn one_order(request: &Request<'_>) -> Vec<Violation> {
    let told: BTreeSet<&str> = request.told.placed.iter().copied().collect();
    let made: BTreeSet<&str> = request.made.iter().map(|order| order.order_id.as_str()).collect();
    let mut found = Vec::new();
    if told.len() > 1 {
        let said = format!("was answered with several orders: {}", join(&told));
        found.push(Violation::new(Rule::OneOrder, &request.id, said));
    }
    if made.len() > 1 {
        let said = format!("has made several orders: {}", join(&made));
        found.push(Violation::new(Rule::OneOrder, &request.id, said));
    }
    for order_id in told.difference(&made) {
        let said = format!("was told to {}, and is not what that has made", request.id);
        found.push(Violation::new(Rule::OneOrder, *order_id, said));
    }
    found
}

/// An attempt without an answer may have placed the order that a later one was refused; only where every attempt was refused is there
/// surely none. A wrong price is never taken.
fn no_other(request: &Request<'_>) -> Option<Violation> {
    let order = request.made.first()?;
    let is_refused = !request.told.refused.is_empty() && request.told.placed.is_empty() && request.told.open == 0;
    let is_stale = request.wish.is_stale;
    (is_refused || is_stale).then(|| {
        let why = if is_stale { "had a wrong price" } else { "was refused" };
        Violation::new(Rule::NoOther, &order.order_id, format!("is kept, although {} {why}", request.id))
    })
}

fn baseless(
    evidence: &Evidence<'_>,
    request: &Request<'_>,
    (reason, metadata): &(&str, &BTreeMap<String, String>),
) -> Option<Violation> {
    let item = |line: usize| &evidence.scene.items[request.wish.lines[line].item];
    let names = |item_id: &str| metadata.get("item_id").is_some_and(|named| named == item_id);
    let is_right = match *reason {
        "PRICE_CHANGED" => {
            let price = item(0).price.to_string();
            let tells = metadata.get("unit_price_minor").is_some_and(|told| *told == price);
            request.wish.is_stale && names(&item(0).item_id) && tells
        }
        "OUT_OF_STOCK" => {
            let mut scarce = (0..request.wish.lines.len()).map(item).filter(|item| item.is_scarce);
            scarce.any(|item| names(&item.item_id)) && request.told.placed.is_empty()
        }
        _ => false,
    };
    (!is_right).then(|| {
        let said = format!("was refused {reason} {metadata:?}, for which there was no reason");
        Violation::new(Rule::Refusal, &request.id, said)
    })
}

fn forged(request: &Request<'_>, outcome: &Outcome) -> Option<Violation> {
    match outcome {
        Outcome::Refused { reason, .. } if reason == "REQUEST_ID_REUSED" => None,
        Outcome::Ok { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } => {
            let said = format!("was used for another order, and told {outcome:?} and not REQUEST_ID_REUSED");
            Some(Violation::new(Rule::Refusal, &request.id, said))
        }
    }
}

fn join(ids: &BTreeSet<&str>) -> String {
    ids.iter().copied().collect::<Vec<_>>().join(" and ")
}
