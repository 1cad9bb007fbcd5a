//! What Redis said.

use std::collections::HashMap;

use crate::coupon::{Grant, State};
use crate::deal::{Refusal, Terms};

/// What Redis said of a deal.
#[derive(Debug)]
pub enum Answer<T> {
    /// Here it is.
    Found(T),
    /// This Redis node may not serve the deal's tag.
    Frozen,
    /// It has no such deal.
    Missing,
    /// Every coupon of the deal is over: PostgreSQL has all of it.
    Archived,
}

impl<T> Answer<T> {
    /// The same answer, with something else found.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Found(found) => Answer::Found(change(found)),
            Self::Frozen => Answer::Frozen,
            Self::Missing => Answer::Missing,
            Self::Archived => Answer::Archived,
        }
    }
}

/// What became of a batch of claims.
#[derive(Debug)]
pub struct Claimed {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// Counts returns and raises.
    pub round: i64,
    /// Counts every change of the deal.
    pub sequence: i64,
    /// When the deal opens, in milliseconds.
    pub opens_ms: i64,
    /// What every coupon of the deal says, in JSON.
    pub terms: String,
    /// One for each user, in their order.
    pub outcomes: Vec<Outcome>,
}

/// What became of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken by this call.
    Won(Grant),
    /// Taken before.
    Held(Grant),
    /// Taken before, and given back.
    Returned(Grant),
    /// Nothing is left.
    SoldOut,
    /// It opens later.
    NotOpen,
    /// It is over.
    Closed,
    /// An operator has stopped it, or it was never armed.
    Frozen,
    /// A pass is needed.
    PassRequired,
    /// The call came after its `not_after`: nothing new was taken, and no copy of this call will take anything.
    Late,
    /// The journal is full: nothing happened.
    Full,
}

/// A coupon, as Redis has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// What every coupon of the deal says.
    pub terms: Terms,
    /// Issued, redeemed or returned.
    pub state: State,
    /// What was taken.
    pub grant: Grant,
    /// The order that has redeemed it.
    pub order_id: Option<String>,
}

/// Why a coupon is not to be had so. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is not, and will not be.
    Refused(Refusal),
    /// The journal is full: nothing happened.
    Full,
}

/// What became of a deal that was to be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archival {
    /// It has left Redis.
    Done,
    /// It has changed meanwhile, or is open still.
    NotNow,
}

/// A sold out deal, and who holds its coupons.
#[derive(Debug)]
pub struct Sold {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// Counts returns and raises.
    pub round: i64,
    /// Counts every change of the deal.
    pub sequence: i64,
    /// When it closes, in milliseconds.
    pub closes_ms: i64,
    /// What every coupon of the deal says.
    pub terms: Terms,
    /// Who holds what.
    pub holders: HashMap<Box<str>, Held>,
}

/// What one user took of a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The order number of the yes.
    pub rank: i64,
    /// The place among the stock.
    pub seat: i64,
    /// When, in milliseconds.
    pub claimed_ms: i64,
    /// Whether it was given back.
    pub returned: bool,
}

/// What one user took of a deal, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What he took.
    pub held: Held,
    /// Counts the coupon's changes.
    pub version: i64,
    /// The order that has redeemed it.
    pub order_id: Option<String>,
}

/// Round and sequence of several deals.
#[derive(Debug)]
pub struct Rounds {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// One pair for each deal, in their order; zeros where it is missing.
    pub rounds: Vec<(i64, i64)>,
}
