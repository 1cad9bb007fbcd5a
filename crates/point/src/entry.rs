//! An entry: one change of one account. It never changes.

use time::OffsetDateTime;

use crate::account::{OrderId, RequestId, UserId};

/// One change of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose account.
    pub user_id: UserId,
    /// Its number in the account: 1, 2, 3, ... without a gap.
    pub nth: i64,
    /// What it is for.
    pub kind: Kind,
    /// Above zero: given; below: taken.
    pub amount: i64,
    /// The balance of the account after it.
    pub balance_after: i64,
    /// The order that it is for.
    pub order_id: Option<OrderId>,
    /// The request that it came by.
    pub request_id: Option<RequestId>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Since when these points were expired; the entry may have been made a little later.
    pub expired_at: Option<OffsetDateTime>,
    /// When it was made, never earlier than the one before.
    pub created_at: OffsetDateTime,
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Points were given.
    Earn,
    /// Points were taken for an order.
    Deduct,
    /// What was taken for an order was given back.
    Refund,
    /// Points whose time was over.
    Expire,
}

impl Entry {
    /// Its name: `<user_id>-<nth>`, to be cut at the last "-".
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.user_id, self.nth)
    }
}

impl Kind {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Earn => "EARN",
            Self::Deduct => "DEDUCT",
            Self::Refund => "REFUND",
            Self::Expire => "EXPIRE",
        }
    }

    /// What is stored, as a kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Earn, Self::Deduct, Self::Refund, Self::Expire].into_iter().find(|kind| kind.as_str() == text)
    }
}
