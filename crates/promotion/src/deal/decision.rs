//! What became of an order to change a deal.

use super::Terms;

/// What Redis decided on an order, and what is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The decision.
    pub decision: Decision,
    /// How many coupons may be alive at once.
    pub stock: i64,
    /// First instant at which a claim can win, in milliseconds.
    pub opens_ms: i64,
    /// First instant at which a claim can no longer win, in milliseconds.
    pub closes_ms: i64,
    /// Whether a claim must carry a pass.
    pub pass_required: bool,
    /// What every coupon of the deal says.
    pub terms: Terms,
}

/// What Redis decided on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is carried out.
    Done,
    /// A newer order was decided on first.
    PassedOver,
    /// The deal is over.
    DealOver,
    /// The deal has opened.
    DealStarted,
    /// The stock only grows.
    StockShrinks,
    /// The deal would close before it opens.
    ClosesEarly,
}
