//! Every "no" of this service.

use std::time::Duration;

use kit::error::Code;

/// Every "no" of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such deal.
    DealNotFound,
    /// A deal of this name exists, and another request made it.
    DealExists,
    /// There is no such coupon, or the user has none of this deal.
    CouponNotFound,
    /// Nobody may claim until an operator has looked.
    Frozen,
    /// The user gave his coupon of this deal back.
    CouponReturned,
    /// It opens later.
    NotOpen {
        /// How much later.
        opens_in: Duration,
    },
    /// It is over.
    Closed,
    /// The deal takes only those who come out of a waiting room.
    PassRequired,
    /// Nothing is left.
    SoldOut,
    /// The coupon is somebody else's.
    NotOwner,
    /// The deal is over: nothing of it can be changed.
    DealOver,
    /// The deal has opened: this of it can no longer be changed.
    DealStarted,
    /// The stock of a deal only grows.
    StockShrinks,
    /// Another order has redeemed the coupon.
    CouponRedeemed,
    /// The coupon's time is over.
    CouponExpired,
    /// Asked to redeem: this order has restored the coupon. Asked to restore: another order has redeemed it.
    CouponOtherOrder,
}

/// When a frozen deal may be looked at again.
const FROZEN_RETRY: Duration = Duration::from_secs(5);

/// How long a client is told to wait for an opening, at most: it may be moved.
const NOT_OPEN_RETRY: Duration = Duration::from_secs(86_400);

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "promotion.booster";

    fn code(&self) -> Code {
        match self {
            Self::DealNotFound | Self::CouponNotFound => Code::NotFound,
            Self::DealExists => Code::AlreadyExists,
            Self::Frozen => Code::Unavailable,
            Self::CouponReturned
            | Self::NotOpen { .. }
            | Self::Closed
            | Self::DealOver
            | Self::DealStarted
            | Self::StockShrinks
            | Self::CouponRedeemed
            | Self::CouponExpired
            | Self::CouponOtherOrder => Code::FailedPrecondition,
            Self::PassRequired | Self::NotOwner => Code::PermissionDenied,
            Self::SoldOut => Code::ResourceExhausted,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::DealNotFound => "DEAL_NOT_FOUND",
            Self::DealExists => "DEAL_EXISTS",
            Self::CouponNotFound => "COUPON_NOT_FOUND",
            Self::Frozen => "FROZEN",
            Self::CouponReturned => "COUPON_RETURNED",
            Self::NotOpen { .. } => "NOT_OPEN",
            Self::Closed => "CLOSED",
            Self::PassRequired => "PASS_REQUIRED",
            Self::SoldOut => "SOLD_OUT",
            Self::NotOwner => "NOT_OWNER",
            Self::DealOver => "DEAL_OVER",
            Self::DealStarted => "DEAL_STARTED",
            Self::StockShrinks => "STOCK_SHRINKS",
            Self::CouponRedeemed => "COUPON_REDEEMED",
            Self::CouponExpired => "COUPON_EXPIRED",
            Self::CouponOtherOrder => "COUPON_OTHER_ORDER",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::DealNotFound => "there is no such deal".to_owned(),
            Self::DealExists => "a deal of this name exists already".to_owned(),
            Self::CouponNotFound => "there is no such coupon".to_owned(),
            Self::Frozen => "the deal is frozen until an operator has looked at it".to_owned(),
            Self::CouponReturned => "the coupon has been returned".to_owned(),
            Self::NotOpen { opens_in } => format!("the deal opens in {} s", opens_in.as_secs_f64()),
            Self::Closed => "the deal is over".to_owned(),
            Self::PassRequired => "the deal needs a pass of the waiting room, which cannot be had yet".to_owned(),
            Self::SoldOut => "every coupon has been claimed".to_owned(),
            Self::NotOwner => "the coupon is somebody else's".to_owned(),
            Self::DealOver => "the deal is over, nothing of it can be changed".to_owned(),
            Self::DealStarted => "the deal has opened: opens_at, prize and pass_required stay as they are".to_owned(),
            Self::StockShrinks => "the stock of a deal only grows".to_owned(),
            Self::CouponRedeemed => "an order has redeemed the coupon".to_owned(),
            Self::CouponExpired => "the coupon has expired".to_owned(),
            Self::CouponOtherOrder => "the coupon is not this order's, and never will be".to_owned(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Frozen => Some(FROZEN_RETRY),
            Self::NotOpen { opens_in } => Some((*opens_in).min(NOT_OPEN_RETRY)),
            Self::DealNotFound
            | Self::DealExists
            | Self::CouponNotFound
            | Self::CouponReturned
            | Self::Closed
            | Self::PassRequired
            | Self::SoldOut
            | Self::NotOwner
            | Self::DealOver
            | Self::DealStarted
            | Self::StockShrinks
            | Self::CouponRedeemed
            | Self::CouponExpired
            | Self::CouponOtherOrder => None,
        }
    }
}
