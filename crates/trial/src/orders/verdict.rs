//! The judge: what was told, and what each order was meant to be, held against what is kept. Pure, so that each kind of violation can be
//! planted.

mod rule;
mod calls;
mod fate;
mod effects;
mod sums;
mod log;
mod faces;

use std::collections::BTreeMap;

pub use rule::{Rule, Violation};
pub(super) use sums::TOP;

use super::deeds::Deed;
use super::journal::Entry;
use super::kept::{Kept, Order, Shown};
use super::props::Coupons;
use super::scene::{Scene, Wish};
use super::told::{Told, told};

/// All that the judge may look at.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) scene: &'a Scene,
    /// What each holder was told when he claimed.
    pub(super) coupons: &'a Coupons,
    /// Every attempt, in the order of the answers.
    pub(super) entries: &'a [Entry],
    pub(super) kept: &'a Kept,
    pub(super) shown: &'a Shown,
    /// The provider's log, if it was looked at.
    pub(super) deeds: Option<&'a [Deed]>,
    /// Whether nobody but this run was ever there.
    pub(super) is_alone: bool,
    /// Whether somebody was killed meanwhile.
    pub(super) is_hurt: bool,
}

/// What the judge found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// All that is not as it must be.
    pub violations: Vec<Violation>,
}

/// An order that is kept, with what it was meant to be and what was told of it.
struct Case<'a> {
    wish: &'a Wish,
    told: &'a Told<'a>,
    order: &'a Order,
}

impl Verdict {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether all that is wrong may only not have arrived yet.
    pub(super) fn may_arrive(&self) -> bool {
        self.violations.iter().all(|violation| violation.rule.may_arrive())
    }
}

/// Holds what was told against what is kept.
pub(super) fn judge(evidence: &Evidence<'_>) -> Verdict {
    let told = told(evidence.entries);
    let made = made(evidence);
    let cases: Vec<Case<'_>> = cases(evidence, &told, &made);
    let mut violations = Vec::new();
    violations.extend(calls::check(evidence, &told, &made));
    violations.extend(cases.iter().flat_map(|case| fate::check(evidence, case)));
    violations.extend(effects::check(evidence, &cases));
    violations.extend(sums::check(evidence));
    violations.extend(log::check(evidence));
    violations.extend(faces::check(evidence));
    Verdict { violations }
}

/// The orders that are kept for each request id of this run.
fn made<'a>(evidence: &Evidence<'a>) -> BTreeMap<usize, Vec<&'a Order>> {
    let numbers: BTreeMap<String, usize> =
        (0..evidence.scene.wishes.len()).map(|number| (evidence.scene.request_id(number), number)).collect();
    let mut made: BTreeMap<usize, Vec<&Order>> = BTreeMap::new();
    for order in &evidence.kept.orders {
        if let Some(number) = order.inside.request_id.as_ref().and_then(|request_id| numbers.get(request_id)) {
            made.entry(*number).or_default().push(order);
        }
    }
    made
}

/// Only where a request has made one order can it be said what should have become of it.
fn cases<'a>(
    evidence: &Evidence<'a>,
    told: &'a BTreeMap<usize, Told<'a>>,
    made: &BTreeMap<usize, Vec<&'a Order>>,
) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for (number, orders) in made {
        if let (Some(told), [order]) = (told.get(number), orders.as_slice()) {
            cases.push(Case { wish: &evidence.scene.wishes[*number], told, order });
        }
    }
    cases
}

#[cfg(test)]
mod tests;
