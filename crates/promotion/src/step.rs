//! The step of an order's saga that promotion takes: the order's coupon is redeemed, or that is undone.

use std::fmt;

use crate::coupon::Coupon;
use crate::deal::{OrderId, UserId};

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The order.
    pub order_id: OrderId,
    /// Which way.
    pub kind: Kind,
    /// The coupon, as the user named it: it may be none.
    pub coupon_id: String,
    /// The user who has placed the order.
    pub user_id: UserId,
}

/// Which way a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The coupon is redeemed.
    Do,
    /// That is taken back, and never happens later.
    Undo,
}

/// What an order is told. There is one answer for each order and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The coupon is the order's.
    Redeemed(Box<Coupon>),
    /// It is not, and never will be: the reason of a refusal.
    Refused(&'static str),
    /// It is not the order's, and never will be, as was asked for.
    Undone,
}

impl Kind {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Do => "DO",
            Self::Undo => "UNDO",
        }
    }

    /// What is stored, as a kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Do, Self::Undo].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
