//! The judge: what was told, held against what is kept. Pure, so that each kind of violation can be planted.
//!
//! During a rush nobody returns, redeems or closes, and everybody is a different user; that makes the rules sharper
//! than the service's own (I1 to I4): sold out is sold out for good, and every coupon that is kept is `ISSUED`.

mod rows;
mod users;
mod violation;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

pub use violation::Violation;

use super::answer::SOLD_OUT;
use super::{Entry, Told, told};

/// A coupon as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The order number of the yes.
    pub rank: i64,
    /// Who holds it.
    pub user: String,
    /// `ISSUED`, `REDEEMED`, `RETURNED` or `EXPIRED`.
    pub state: String,
    /// Which share of the stock it takes; only PostgreSQL tells.
    pub seat: Option<i64>,
    /// Its name; only `ListCoupons` tells.
    pub coupon_id: Option<String>,
}

/// All that the judge may look at.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The deal.
    pub deal_id: &'a str,
    /// How many coupons there were.
    pub stock: u32,
    /// Every attempt, in the order of the answers.
    pub entries: &'a [Entry],
    /// What `ListCoupons` shows.
    pub listed: &'a [Row],
    /// What PostgreSQL holds, if it was looked at. Then it is what is judged, and the list must be the same.
    pub stored: Option<&'a [Row]>,
}

/// What the judge found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// All that is not as it must be.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Holds what was told against what is kept.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let users = told(evidence.entries);
    let kept = evidence.stored.unwrap_or(evidence.listed);
    let mut violations = Vec::new();
    violations.extend(count(&users, evidence.stock, kept.len()));
    violations.extend(rows::check(kept, evidence.stock));
    violations.extend(users::check(&users, evidence.deal_id, kept));
    violations.extend(rows::names(evidence.listed, evidence.deal_id));
    if let Some(stored) = evidence.stored {
        violations.extend(rows::apart(evidence.listed, stored));
    }
    Verdict { violations }
}

/// How many coupons must be kept: `min(stock, claimants)`, and where some gave up before they had a definite answer and
/// nobody was told that nothing is left, any number that their unknown outcomes allow.
pub(super) fn expected(users: &BTreeMap<&str, Told<'_>>, stock: u32) -> RangeInclusive<usize> {
    let stock = stock as usize;
    let undecided = |told: &&Told<'_>| !told.is_winner() && !was_sold_out(told);
    let open = users.values().filter(undecided).count();
    let most = stock.min(users.len());
    let least = if users.values().any(was_sold_out) { most } else { stock.min(users.len() - open) };
    least..=most
}

fn was_sold_out(told: &Told<'_>) -> bool {
    told.no.iter().any(|(reason, _)| *reason == SOLD_OUT)
}

/// I1.
fn count(users: &BTreeMap<&str, Told<'_>>, stock: u32, kept: usize) -> Option<Violation> {
    let expected = expected(users, stock);
    (!expected.contains(&kept)).then_some(Violation::Count { kept, expected })
}

#[cfg(test)]
mod tests;
