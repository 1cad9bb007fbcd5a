//! What each user was told, over all his attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::SOLD_OUT;
use super::{Entry, Outcome};

/// What one user was told.
#[derive(Debug, Default)]
pub struct Told<'a> {
    /// Rank and coupon id of every yes, in the order of the answers.
    pub yes: Vec<(i64, &'a str)>,
    /// When the first yes was there, counted from the beginning of the rush.
    pub first_yes: Option<Duration>,
    /// Reason of every definite no, and when its attempt was sent, in the order of the answers.
    pub no: Vec<(&'a str, Duration)>,
    /// The last definite answer, if there is one.
    pub last: Option<&'a Outcome>,
}

impl Told<'_> {
    /// Whether his coupon is owed to him, whatever died.
    #[must_use]
    pub fn is_winner(&self) -> bool {
        !self.yes.is_empty()
    }

    /// Whether he was told that nothing is left, and nothing definite after that.
    #[must_use]
    pub fn is_sold_out(&self) -> bool {
        matches!(self.last, Some(Outcome::Refused { reason }) if reason == SOLD_OUT)
    }

    /// Whether nobody can say if he holds a coupon: he gave up before a definite answer came.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.last.is_none()
    }
}

/// Every user who made an attempt, and what he was told. `entries` are in the order of the answers.
#[must_use]
pub fn told(entries: &[Entry]) -> BTreeMap<&str, Told<'_>> {
    let mut users: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for entry in entries {
        let told = users.entry(&entry.user).or_default();
        if !entry.outcome.is_definite() {
            continue;
        }
        told.last = Some(&entry.outcome);
        match &entry.outcome {
            Outcome::Ok { rank, coupon_id, .. } => {
                told.yes.push((*rank, coupon_id));
                told.first_yes.get_or_insert(entry.answered());
            }
            Outcome::Refused { reason } => told.no.push((reason, entry.sent)),
            Outcome::Unknown { .. } => {}
        }
    }
    users
}
