//! An order: what was ordered, what it costs, and where it stands.

mod refusal;

use kit::error::Invalid;
use kit::money::Money;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::item::ItemId;
use crate::saga::Saga;
pub use refusal::Refusal;

kit::id!(
    /// Which order.
    OrderId, "order_id", 64
);
kit::id!(
    /// Who orders.
    UserId, "user_id", 64
);
kit::id!(
    /// Which coupon.
    CouponId, "coupon_id", 64
);
kit::id!(
    /// Which hold.
    HoldId, "hold_id", 64
);
kit::id!(
    /// The idempotency key of a request.
    RequestId, "request_id", 64
);

/// Lines of an order, at most.
pub const LINES_MOST: usize = 50;
/// Items in one line, at most.
pub const QUANTITY_MOST: i64 = 1_000_000;
/// Points that an order may ask for, at most.
pub const POINTS_MOST: i64 = 1_000_000_000_000;
/// How an order may be paid: by the sandbox provider, and what that is to do.
pub const PAYMENT_METHODS: [&str; 5] = ["sandbox", "sandbox:decline", "sandbox:delay", "sandbox:drop", "sandbox:late"];

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub order_id: OrderId,
    /// Who ordered.
    pub user_id: UserId,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The coupon that it asked for.
    pub coupon_id: Option<CouponId>,
    /// The hold that it asked for.
    pub hold_id: Option<HoldId>,
    /// The points that it uses, one for each minor unit: never more than its total, once that is final.
    pub points: i64,
    /// The sum of its lines; its currency is that of all its amounts.
    pub subtotal: Money,
    /// What the coupon takes off, in minor units; 0 until the coupon step has ended.
    pub discount: i64,
    /// How it is paid.
    pub payment_method: String,
    /// Where it stands.
    pub state: State,
    /// Why it is or will be undone.
    pub reason: Option<Reason>,
    /// How far its steps have come.
    pub saga: Saga,
    /// Counts its changes.
    pub version: i64,
    /// When it was placed.
    pub created_at: OffsetDateTime,
    /// When it was paid, if it ever was: the sale belongs to that day.
    pub paid_at: Option<OffsetDateTime>,
    /// When it is looked at again, if nothing comes before.
    pub due_at: Option<OffsetDateTime>,
}

/// What was ordered of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which item.
    pub item_id: String,
    /// Whose item.
    pub venue_id: String,
    /// How many.
    pub quantity: i64,
    /// What one of it cost when the order was placed, in minor units.
    pub unit_price: i64,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its steps are being seen to.
    Pending,
    /// All of them are done.
    Paid,
    /// It is being made.
    Preparing,
    /// It is on its way.
    Shipping,
    /// It has arrived.
    Delivered,
    /// What was done is being undone.
    Cancelling,
    /// A user has cancelled it, and nothing of it is left.
    Cancelled,
    /// A step was refused, and nothing of it is left.
    Failed,
}

/// Why an order is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The user has not so many points.
    InsufficientPoints,
    /// The coupon cannot be used for it.
    CouponUnusable,
    /// The tables are no longer held.
    HoldLost,
    /// The provider said no.
    PaymentDeclined,
    /// The provider gave no final answer in time, and the charge was undone.
    PaymentUnsettled,
    /// The user wanted it.
    CancelledByUser,
}

/// An order as somebody wants to place it.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who orders.
    pub user_id: UserId,
    /// What, in the order of items, each of another one.
    pub lines: Vec<WishedLine>,
    /// The currency of all prices.
    pub currency: String,
    /// With this coupon.
    pub coupon_id: Option<CouponId>,
    /// With this hold.
    pub hold_id: Option<HoldId>,
    /// With so many points, at most.
    pub points: i64,
    /// One of [`PAYMENT_METHODS`].
    pub payment_method: String,
}

/// What is wanted of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WishedLine {
    /// Which item.
    pub item_id: ItemId,
    /// How many.
    pub quantity: i64,
    /// What the client believes that one of it costs, in minor units.
    pub expected_unit_price: i64,
}

impl Order {
    /// Subtotal less discount, in minor units.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.subtotal.minor_units - self.discount
    }

    /// What is charged: the total less the points, in minor units.
    #[must_use]
    pub fn charge(&self) -> i64 {
        self.total() - self.points
    }

    /// Whether it counts as a sale.
    #[must_use]
    pub fn is_sale(&self) -> bool {
        self.state.is_sale()
    }
}

impl Wish {
    /// Whether there can be such an order.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.lines.is_empty() || self.lines.len() > LINES_MOST {
            return Err(Invalid::new("lines", format!("has {}; it has 1 to {LINES_MOST}", self.lines.len())));
        }
        for line in &self.lines {
            if !(1..=QUANTITY_MOST).contains(&line.quantity) {
                let why = format!("is {}; it is 1 to {QUANTITY_MOST}", line.quantity);
                return Err(Invalid::new("lines.quantity", why));
            }
        }
        if self.lines.windows(2).any(|pair| pair[0].item_id == pair[1].item_id) {
            return Err(Invalid::new("lines", "names an item twice: add the quantities"));
        }
        if !(0..=POINTS_MOST).contains(&self.points) {
            return Err(Invalid::new("points_to_use", format!("is {}; it is 0 to {POINTS_MOST}", self.points)));
        }
        if !PAYMENT_METHODS.contains(&self.payment_method.as_str()) {
            let why = format!("is none of {}", PAYMENT_METHODS.join(", "));
            return Err(Invalid::new("payment_method", why));
        }
        Ok(())
    }
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Paid,
        Self::Preparing,
        Self::Shipping,
        Self::Delivered,
        Self::Cancelling,
        Self::Cancelled,
        Self::Failed,
    ];

    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Preparing => "PREPARING",
            Self::Shipping => "SHIPPING",
            Self::Delivered => "DELIVERED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// What is stored, as a state.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Which states may follow. The trigger `order_transition` of PostgreSQL holds the same table.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Paid, Self::Cancelling, Self::Cancelled, Self::Failed],
            Self::Paid => &[Self::Preparing, Self::Cancelling, Self::Cancelled],
            Self::Preparing => &[Self::Shipping, Self::Cancelling, Self::Cancelled],
            Self::Shipping => &[Self::Delivered],
            Self::Cancelling => &[Self::Cancelled, Self::Failed],
            Self::Delivered | Self::Cancelled | Self::Failed => &[],
        }
    }

    /// Whether a user may cancel.
    #[must_use]
    pub fn is_cancellable(self) -> bool {
        self.next().contains(&Self::Cancelling)
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// Whether its saga has something to do.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Pending | Self::Cancelling)
    }

    /// Whether it counts as a sale.
    #[must_use]
    pub fn is_sale(self) -> bool {
        matches!(self, Self::Paid | Self::Preparing | Self::Shipping | Self::Delivered)
    }
}

impl Reason {
    /// As it is stored, and as clients see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientPoints => "INSUFFICIENT_POINTS",
            Self::CouponUnusable => "COUPON_UNUSABLE",
            Self::HoldLost => "HOLD_LOST",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::PaymentUnsettled => "PAYMENT_UNSETTLED",
            Self::CancelledByUser => "CANCELLED_BY_USER",
        }
    }

    /// What is stored, as a reason.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::InsufficientPoints,
            Self::CouponUnusable,
            Self::HoldLost,
            Self::PaymentDeclined,
            Self::PaymentUnsettled,
            Self::CancelledByUser,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == text)
    }

    /// How an order ends that is undone for it.
    #[must_use]
    pub fn end(self) -> State {
        if self == Self::CancelledByUser { State::Cancelled } else { State::Failed }
    }
}
