//! What can be asked of the ledger, and what comes of it.

use kit::error::Invalid;
use time::OffsetDateTime;

use crate::account::{Balance, OrderId, RequestId, UserId};
use crate::entry::Entry;
use crate::order::{Answer, Step};
use crate::refusal::Refusal;

/// What is asked of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// To give points to a user.
    Earn {
        /// Whom.
        user_id: UserId,
        /// How many, above zero.
        amount: i64,
        /// When what is left of them expires, to the microsecond; never where there is none.
        expires_at: Option<OffsetDateTime>,
        /// Why, for people.
        reason: Option<String>,
    },
    /// To take points from a user for an order: all of it or nothing.
    Deduct {
        /// From whom.
        user_id: UserId,
        /// How many, above zero.
        amount: i64,
        /// For which order.
        order_id: OrderId,
    },
    /// To give back what was taken for an order, and never to take anything for it afterwards.
    Refund {
        /// Which order.
        order_id: OrderId,
    },
    /// The order itself asks, and is answered.
    Step {
        /// Which order.
        order_id: OrderId,
        /// Whose points.
        user_id: UserId,
        /// How many, not below zero.
        amount: i64,
        /// What it asks.
        step: Step,
    },
    /// To write off what has expired. Every operation on an account does that first.
    Expire {
        /// Whose.
        user_id: UserId,
    },
}

/// The idempotency key of a request, and what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The key.
    pub request_id: RequestId,
    /// SHA-256 of what was asked.
    pub digest: [u8; 32],
}

/// An operation, and the request that it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The operation.
    pub operation: Operation,
    /// The request: without one, the operation itself has to be one that may be repeated.
    pub request: Option<Request>,
}

/// A request that was carried out or refused, and what its client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The request.
    pub request: Request,
    /// What its client was told.
    pub told: Told,
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This entry of this account.
    Entry(UserId, i64),
    /// That nothing had to be done.
    Nothing,
    /// No.
    Refused(Refusal),
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, by this entry.
    Done(Entry),
    /// It was done before, by this entry of this account.
    Before(UserId, i64),
    /// There was nothing to do, or the answer is a fact by itself.
    Nothing,
    /// The answer is no.
    Refused(Refusal),
    /// It cannot be done as it was asked for, as the account stands.
    Invalid(Invalid),
    /// The request's id was used before, for something else.
    Reused,
}

/// What others are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The balance of an account has changed, perhaps by several entries at once.
    BalanceChanged(Balance),
    /// An order was answered.
    StepAnswered(Answer),
}

impl Operation {
    /// The order that it is about, if any.
    #[must_use]
    pub fn order_id(&self) -> Option<&OrderId> {
        match self {
            Self::Deduct { order_id, .. } | Self::Refund { order_id } | Self::Step { order_id, .. } => Some(order_id),
            Self::Earn { .. } | Self::Expire { .. } => None,
        }
    }

    /// The user that it names, if any.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Earn { user_id, .. }
            | Self::Deduct { user_id, .. }
            | Self::Step { user_id, .. }
            | Self::Expire { user_id } => Some(user_id),
            Self::Refund { .. } => None,
        }
    }
}

impl Remembered {
    /// What comes of the same request again.
    #[must_use]
    pub fn again(&self, request: &Request) -> Outcome {
        if self.request.digest != request.digest {
            return Outcome::Reused;
        }
        match &self.told {
            Told::Entry(user_id, nth) => Outcome::Before(user_id.clone(), *nth),
            Told::Nothing => Outcome::Nothing,
            Told::Refused(refusal) => Outcome::Refused(*refusal),
        }
    }
}

impl Outcome {
    /// What is remembered of it under the id of its request: nothing, where the same request may yet succeed.
    #[must_use]
    pub fn told(&self) -> Option<Told> {
        match self {
            Self::Done(entry) => Some(Told::Entry(entry.user_id.clone(), entry.nth)),
            Self::Before(user_id, nth) => Some(Told::Entry(user_id.clone(), *nth)),
            Self::Nothing => Some(Told::Nothing),
            Self::Refused(refusal) => Some(Told::Refused(*refusal)),
            Self::Invalid(_) | Self::Reused => None,
        }
    }
}
