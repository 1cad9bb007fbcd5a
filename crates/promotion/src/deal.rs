//! A deal: a number of coupons that can be claimed between two instants, first come, first served.

mod decision;
mod prize;
mod refusal;

pub use decision::{Decision, Updated};
pub use prize::{Discount, Money, Off, Prize};
pub use refusal::Refusal;

use bus::journal::EntryId;
use kit::error::Invalid;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

kit::id!(
    /// Names a deal. Short enough to leave room for a rank in a coupon's id.
    DealId, "deal_id", 48
);
kit::id!(
    /// Names a venue.
    VenueId, "venue_id", 64
);
kit::id!(
    /// Names a user.
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

/// The most coupons that one deal may have.
pub const STOCK_MOST: i64 = 10_000_000;
/// The longest title, in characters.
pub const TITLE_LONGEST: usize = 200;

/// What is ordered of a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub deal_id: DealId,
    /// For people.
    pub title: String,
    /// Whose it is, and what each coupon is worth.
    pub terms: Terms,
    /// How many coupons may be alive at once.
    pub stock: i64,
    /// First instant at which a claim can win.
    pub opens_at: OffsetDateTime,
    /// First instant at which a claim can no longer win.
    pub closes_at: OffsetDateTime,
    /// Whether a claim must carry a pass.
    pub pass_required: bool,
}

/// What every coupon of a deal says. It never changes once a coupon exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The deal's venue.
    pub venue_id: String,
    /// What a coupon is worth.
    pub prize: Prize,
}

/// What is to change of what was ordered: all of it, or nothing. The title stands in PostgreSQL alone and follows what Redis
/// decides; of everything else Redis decides by its own record (`deal.lua`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// Another title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// More coupons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
    /// Another first instant at which a claim can win, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_ms: Option<i64>,
    /// Another first instant at which a claim can no longer win, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_ms: Option<i64>,
    /// Another prize.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prize: Option<Prize>,
    /// Whether a claim must carry a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_required: Option<bool>,
    /// Whether the deal is to be over now, for good.
    pub close: bool,
}

/// What has happened to a deal, as Redis counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// Counts rebuilds and releases of its tag.
    pub epoch: i64,
    /// Counts returns and raises.
    pub round: i64,
    /// Counts every change.
    pub sequence: i64,
    /// How many coupons may be alive at once.
    pub stock: i64,
    /// How many were ever issued: the highest rank.
    pub issued: i64,
    /// How many are alive.
    pub live: i64,
    /// First instant at which a claim can win, in milliseconds.
    pub opens_ms: i64,
    /// First instant at which a claim can no longer win, in milliseconds.
    pub closes_ms: i64,
    /// Whether somebody, or the clock, has closed it for good.
    pub closed: bool,
    /// Whether an operator has stopped it, or it was never armed.
    pub frozen: bool,
    /// Its last entry in the journal.
    #[serde(skip)]
    pub entry: EntryId,
}

/// A deal, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal {
    /// What was ordered.
    pub wish: Wish,
    /// What has happened, where Redis has it and may serve it.
    pub course: Option<Course>,
}

/// Where a deal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `opens_at` is still to come.
    Scheduled,
    /// Claims can win.
    Open,
    /// Open, and nothing is left.
    SoldOut,
    /// Over for good.
    Closed,
    /// Nobody may claim until an operator has looked.
    Frozen,
}

impl Wish {
    /// Whether this can be a deal.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        check_title(&self.title)?;
        check_stock(self.stock)?;
        if self.closes_at <= self.opens_at {
            return Err(closes_early());
        }
        self.terms.prize.check()
    }
}

impl Patch {
    /// Whether this can be ordered of some deal. Redis decides whether it can be ordered of this one, now.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        self.title.as_deref().map_or(Ok(()), check_title)?;
        self.stock.map_or(Ok(()), check_stock)?;
        if let (Some(opens_ms), Some(closes_ms)) = (self.opens_ms, self.closes_ms)
            && closes_ms <= opens_ms
        {
            return Err(closes_early());
        }
        self.prize.as_ref().map_or(Ok(()), Prize::check)
    }
}

/// A deal that would close before it opens.
#[must_use]
pub fn closes_early() -> Invalid {
    Invalid::new("deal.closes_at", "is not after opens_at")
}

fn check_title(title: &str) -> Result<(), Invalid> {
    let length = title.chars().count();
    if length > TITLE_LONGEST {
        let why = format!("has {length} characters; at most {TITLE_LONGEST} are allowed");
        return Err(Invalid::new("deal.title", why));
    }
    if title.chars().any(char::is_control) {
        return Err(Invalid::new("deal.title", "has a control character"));
    }
    Ok(())
}

fn check_stock(stock: i64) -> Result<(), Invalid> {
    if (1..=STOCK_MOST).contains(&stock) {
        Ok(())
    } else {
        Err(Invalid::new("deal.stock", format!("is {stock}; it is 1 to {STOCK_MOST}")))
    }
}

impl Course {
    /// Whether nobody new can win any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closed || self.now_ms >= self.closes_ms
    }

    /// Where the deal stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.frozen {
            State::Frozen
        } else if self.is_over() {
            State::Closed
        } else if self.now_ms < self.opens_ms {
            State::Scheduled
        } else if self.live >= self.stock {
            State::SoldOut
        } else {
            State::Open
        }
    }

    /// How many coupons can still be claimed.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        self.stock - self.live
    }
}

impl Deal {
    /// Where it stands. What Redis does not have, or may not serve, is frozen.
    #[must_use]
    pub fn state(&self) -> State {
        self.course.map_or(State::Frozen, |course| course.state())
    }

    /// How many coupons can still be claimed.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        self.course.map_or(0, |course| course.remaining())
    }
}

#[cfg(test)]
mod tests;
