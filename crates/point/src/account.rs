//! An account: what a user has, and which of it expires when.

mod lots;

pub use lots::{LOTS_MOST, Lot, Lots};

use time::{Duration, OffsetDateTime};

use crate::entry::{Entry, Kind};

kit::id!(
    /// Names a user, and his account.
    UserId, "user_id", 64
);
kit::id!(
    /// Names an order.
    OrderId, "order_id", 64
);
kit::id!(
    /// Names a request: the idempotency key of a write.
    RequestId, "request_id", 64
);

/// The most points that one operation moves.
pub const AMOUNT_MOST: i64 = 1_000_000_000_000;
/// The most points that an account may be brought to by earning. What was taken is given back also beyond it.
pub const BALANCE_MOST: i64 = 1_000_000_000_000_000;
/// What expires within this time is said to expire soon.
pub const SOON: Duration = Duration::days(30);

/// One user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub user_id: UserId,
    /// What he has: the sum of all entries, never below zero.
    pub balance: i64,
    /// Counts its entries.
    pub version: i64,
    /// When its last entry was made.
    pub changed_at: Option<OffsetDateTime>,
    /// Which part of the balance expires. The rest never does.
    pub lots: Lots,
}

/// What can be said of an account without its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Whose it is.
    pub user_id: UserId,
    /// What can be used.
    pub available: i64,
    /// How much of that expires within [`SOON`].
    pub expiring_soon: i64,
    /// Counts the entries of the account.
    pub version: i64,
}

/// What an entry says besides its number, its balance and its instant.
#[derive(Debug, Clone)]
pub struct Posting {
    /// What it is for.
    pub kind: Kind,
    /// Above zero: given; below: taken.
    pub amount: i64,
    /// The order that it is for.
    pub order_id: Option<OrderId>,
    /// The request that it came by.
    pub request_id: Option<RequestId>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Since when the points were expired.
    pub expired_at: Option<OffsetDateTime>,
}

impl Account {
    /// An account that has no entries yet.
    #[must_use]
    pub fn new(user_id: UserId) -> Self {
        Self { user_id, balance: 0, version: 0, changed_at: None, lots: Lots::default() }
    }

    /// How it stands at `now`. What has expired is not available, whether or not its entry is written.
    #[must_use]
    pub fn standing(&self, now: OffsetDateTime) -> Balance {
        let expired = self.lots.until(now);
        Balance {
            user_id: self.user_id.clone(),
            available: self.balance - expired,
            expiring_soon: self.lots.until(now + SOON) - expired,
            version: self.version,
        }
    }

    /// Adds an entry; nothing happens where the balance would not be a number any more, or fall below zero. Instants of entries never
    /// go back, whatever the clock does.
    pub(crate) fn post(&mut self, now: OffsetDateTime, posting: Posting) -> Option<Entry> {
        let balance = self.balance.checked_add(posting.amount).filter(|balance| *balance >= 0)?;
        let created_at = self.changed_at.map_or(now, |before| before.max(now));
        (self.balance, self.version, self.changed_at) = (balance, self.version + 1, Some(created_at));
        Some(Entry {
            user_id: self.user_id.clone(),
            nth: self.version,
            kind: posting.kind,
            amount: posting.amount,
            balance_after: balance,
            order_id: posting.order_id,
            request_id: posting.request_id,
            reason: posting.reason,
            expired_at: posting.expired_at,
            created_at,
        })
    }

    /// Writes off what has expired by `now`, the oldest first.
    pub(crate) fn expire(&mut self, now: OffsetDateTime) -> Vec<Entry> {
        let mut entries = Vec::new();
        while let Some(lot) = self.lots.take_due(now) {
            let posting = Posting { expired_at: Some(lot.expires_at), ..Posting::new(Kind::Expire, -lot.points) };
            // Lots are a part of the balance: there is always enough.
            entries.extend(self.post(now, posting));
        }
        entries
    }
}

impl Posting {
    /// One that is for no order and came by no request.
    #[must_use]
    pub fn new(kind: Kind, amount: i64) -> Self {
        Self { kind, amount, order_id: None, request_id: None, reason: None, expired_at: None }
    }

    /// One that is for an order, and came by no request.
    #[must_use]
    pub fn of(order_id: &OrderId, kind: Kind, amount: i64) -> Self {
        Self { order_id: Some(order_id.clone()), ..Self::new(kind, amount) }
    }
}
