//! What must be true of orders, and the sentence that says of what it is not.

use std::fmt;

/// What must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A request id is answered with one order, for ever, and there is one.
    OneOrder,
    /// Nobody has an order that he did not ask for, or that he was told he has not.
    NoOther,
    /// What is refused is refused for a reason.
    Refusal,
    /// Every order ends within five minutes of the last placing.
    Ends,
    /// An order ends as what it was asked for and what was told of it allow.
    Fate,
    /// What it costs is what its lines, its coupon and its points make of it.
    Amounts,
    /// A paid order has redeemed its coupon, and no other one has a coupon.
    Coupon,
    /// A paid order has used its points once, and an undone one none.
    Points,
    /// A paid order is charged once what it costs, and an undone one never or refunded in full.
    Charge,
    /// What is on hand and what was sold is what was put in.
    Stock,
    /// The balance of an account is what was earned less what paid orders have used, and never below zero.
    Balance,
    /// The provider has done what the payments say, and nothing else.
    Log,
    /// PostgreSQL has a coupon as Redis has it.
    CouponRow,
    /// Ranking has counted the quantities of all orders that count, on their days.
    Scores,
    /// The boards show what ranking has counted.
    Boards,
    /// A service shows what PostgreSQL has.
    Face,
    /// `booster audit` finds nothing.
    Audit,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub rule: Rule,
    /// The order, or the item, account or request, that it is about.
    pub about: String,
    /// What is wrong with that, as the end of a sentence that begins with its name.
    pub said: String,
}

impl Rule {
    /// Whether it is told of by events, and may come true a little later than an order ends.
    pub(in crate::orders) fn may_arrive(self) -> bool {
        match self {
            Self::CouponRow | Self::Scores | Self::Boards => true,
            Self::OneOrder
            | Self::NoOther
            | Self::Refusal
            | Self::Ends
            | Self::Fate
            | Self::Amounts
            | Self::Coupon
            | Self::Points
            | Self::Charge
            | Self::Stock
            | Self::Balance
            | Self::Log
            | Self::Face
            | Self::Audit => false,
        }
    }
}

impl Violation {
    pub(in crate::orders) fn new(rule: Rule, about: impl Into<String>, said: impl Into<String>) -> Self {
        Self { rule, about: about.into(), said: said.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.about, self.said)
    }
}
