//! What an order has done with points: taken once and given back once, whoever asked.

use crate::account::{Lot, OrderId, UserId};

/// What one order has done with points. One that nobody has asked about yet has done nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderUse {
    /// The order.
    pub order_id: OrderId,
    /// What was taken for it, once that has happened.
    pub taken: Option<Taken>,
    /// Whether it is undone: the mark of an undo, also where there was nothing to undo. Nothing is taken from then on, and what was
    /// taken has been given back.
    pub undone: bool,
    /// The number of the entry by which it was given back.
    pub refunded_nth: Option<i64>,
    /// What the order was told when it asked for its points: it is told the same each time.
    pub answer: Option<Result<(), Cause>>,
}

/// What was taken for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whose points.
    pub user_id: UserId,
    /// How many, above zero.
    pub amount: i64,
    /// The number of the entry.
    pub nth: i64,
    /// Those of them that would have expired, and when: given back, they expire when they would have.
    pub lots: Vec<Lot>,
}

/// Why an order did not get its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The account has fewer.
    InsufficientPoints,
    /// The order was undone before.
    OrderUndone,
    /// Others than these were taken for it before, by somebody else.
    OrderDone,
}

/// What an order asks about its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// To take them.
    Do,
    /// To give them back, and never to take them afterwards.
    Undo,
}

/// What an order is told: the same each time it asks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The order.
    pub order_id: OrderId,
    /// Whose points it asked for.
    pub user_id: UserId,
    /// What it asked.
    pub step: Step,
    /// Whether it was done, or why not.
    pub done: Result<(), Cause>,
    /// How many points were taken or given back; 0 where none were.
    pub amount: i64,
}

impl OrderUse {
    /// An order that nobody has asked about yet.
    #[must_use]
    pub fn new(order_id: OrderId) -> Self {
        Self { order_id, taken: None, undone: false, refunded_nth: None, answer: None }
    }

    /// Whether nothing may be taken for it any more by somebody who is not the order itself.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.undone || self.taken.is_some() || self.answer.is_some()
    }

    /// How many points it has given back.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        self.taken.as_ref().filter(|_| self.undone).map_or(0, |taken| taken.amount)
    }
}

impl Cause {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientPoints => "INSUFFICIENT_POINTS",
            Self::OrderUndone => "ORDER_UNDONE",
            Self::OrderDone => "ORDER_DONE",
        }
    }

    /// What is stored, as a cause.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::InsufficientPoints, Self::OrderUndone, Self::OrderDone].into_iter().find(|cause| cause.as_str() == text)
    }
}
