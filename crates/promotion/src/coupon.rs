//! A coupon: one user's share of a deal.

use kit::error::Invalid;
use time::{Duration, OffsetDateTime};

use crate::deal::{DealId, Prize, Terms, UserId};
use crate::place::Place;

/// A coupon as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// The deal it came from.
    pub deal_id: DealId,
    /// The order number of the yes: 1, 2, 3, ...; never reused.
    pub rank: i64,
    /// Who holds it.
    pub user_id: UserId,
    /// The deal's venue.
    pub venue_id: String,
    /// What it is worth.
    pub prize: Prize,
    /// Whether it can still be used.
    pub state: State,
    /// When it was claimed.
    pub claimed_at: OffsetDateTime,
    /// When it expires, if ever.
    pub expires_at: Option<OffsetDateTime>,
    /// The order that redeemed it.
    pub order_id: Option<String>,
}

/// Whether a coupon can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Held, not used.
    Issued,
    /// Used by an order.
    Redeemed,
    /// Given back.
    Returned,
    /// Its time has passed unused. Never stored: it is [`State::Issued`] past `expires_at`.
    Expired,
}

/// What was taken of a deal by one yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The order number of the yes.
    pub rank: i64,
    /// When, in milliseconds.
    pub claimed_ms: i64,
}

impl Coupon {
    /// The coupon as it was issued.
    #[must_use]
    pub fn issued(deal_id: DealId, user_id: UserId, terms: &Terms, grant: Grant) -> Self {
        let claimed_at = kit::clock::from_millis(grant.claimed_ms);
        Self {
            deal_id,
            rank: grant.rank,
            user_id,
            venue_id: terms.venue_id.clone(),
            prize: terms.prize.clone(),
            state: State::Issued,
            claimed_at,
            expires_at: terms.prize.valid_for_seconds().map(|seconds| claimed_at + Duration::seconds(seconds)),
            order_id: None,
        }
    }

    /// The same coupon, given back.
    #[must_use]
    pub fn returned(self) -> Self {
        Self { state: State::Returned, ..self }
    }

    /// The same coupon, used by an order.
    #[must_use]
    pub fn redeemed(self, order_id: String) -> Self {
        Self { state: State::Redeemed, order_id: Some(order_id), ..self }
    }

    /// The same coupon as it is to be shown at `now`: expired, where its time has passed unused.
    #[must_use]
    pub fn at(self, now: OffsetDateTime) -> Self {
        Self { state: self.state_at(now), ..self }
    }

    /// `<deal_id>-<rank>`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.deal_id, self.rank)
    }

    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::new(self.claimed_at, &self.deal_id, self.rank)
    }

    /// Its state at `now`.
    #[must_use]
    pub fn state_at(&self, now: OffsetDateTime) -> State {
        let expired = self.state == State::Issued && self.expires_at.is_some_and(|end| end <= now);
        if expired { State::Expired } else { self.state }
    }
}

/// Reads a coupon's id: `<deal_id>-<rank>`, cut at the last "-".
///
/// # Errors
/// Names the field when the text is not of that shape.
pub fn parse_id(text: &str) -> Result<(DealId, i64), Invalid> {
    let wrong = || Invalid::new("coupon_id", "is not <deal_id>-<rank>");
    let (deal_id, rank) = text.rsplit_once('-').ok_or_else(wrong)?;
    let deal_id = DealId::parse(deal_id).map_err(|_| wrong())?;
    let digits = !rank.starts_with('0') && rank.len() <= RANK_LONGEST && rank.bytes().all(|byte| byte.is_ascii_digit());
    let rank = rank.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok((deal_id, rank))
}

/// The longest rank, in digits.
const RANK_LONGEST: usize = 15;

impl State {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::Redeemed => "REDEEMED",
            Self::Returned => "RETURNED",
            Self::Expired => "EXPIRED",
        }
    }

    /// What is stored, as a state.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Issued, Self::Redeemed, Self::Returned, Self::Expired].into_iter().find(|state| state.as_str() == text)
    }
}
