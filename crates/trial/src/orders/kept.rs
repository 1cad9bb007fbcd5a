//! What is kept of a run: as PostgreSQL has it, and as the services show it.

use std::time::Duration;

use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;

/// What PostgreSQL has.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) items: Vec<Item>,
    pub(super) orders: Vec<Order>,
    pub(super) coupons: Vec<Coupon>,
    pub(super) accounts: Vec<Account>,
    /// In the order of each account.
    pub(super) entries: Vec<Entry>,
    pub(super) payments: Vec<Payment>,
    /// What ranking has counted on each day.
    pub(super) days: Vec<Score>,
    /// And of all time; `day` is empty.
    pub(super) all_time: Vec<Score>,
}

/// What the services show.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) items: Vec<Item>,
    pub(super) orders: Vec<Order>,
    pub(super) coupons: Vec<Coupon>,
    pub(super) accounts: Vec<Account>,
    pub(super) payments: Vec<Payment>,
    /// The board of each day on which anything was sold; an item that is not on it has no score.
    pub(super) days: Vec<Score>,
    /// The top of all time, the best first, other runs' items included.
    pub(super) top: Vec<Score>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) item_id: String,
    pub(super) stock: i64,
    pub(super) sold: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) order_id: String,
    pub(super) user_id: String,
    pub(super) lines: Vec<Line>,
    pub(super) coupon_id: Option<String>,
    pub(super) points: i64,
    pub(super) subtotal: i64,
    pub(super) discount: i64,
    pub(super) total: i64,
    pub(super) state: OrderState,
    /// Empty where there is none.
    pub(super) reason: String,
    pub(super) was_paid: bool,
    /// What only PostgreSQL tells.
    pub(super) inside: Inside,
}

/// What only PostgreSQL tells of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) request_id: Option<String>,
    /// The day on which it was paid, in the venue's time zone: 2030-01-31.
    pub(super) day: Option<String>,
    /// From its placing until it was paid.
    pub(super) paid_after: Option<Duration>,
    /// Whether one of its steps was given up, because nobody answered in time.
    pub(super) is_silent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) item_id: String,
    pub(super) quantity: i64,
    pub(super) unit_price: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coupon {
    pub(super) coupon_id: String,
    pub(super) user_id: String,
    /// The order that has redeemed it. Nothing where it is as it was issued.
    pub(super) order_id: Option<String>,
    pub(super) state: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user_id: String,
    pub(super) balance: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) user_id: String,
    pub(super) kind: String,
    pub(super) amount: i64,
    pub(super) balance_after: i64,
    pub(super) order_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    /// There is one for each order, and it is the key of the charge at the provider.
    pub(super) order_id: String,
    pub(super) user_id: String,
    pub(super) amount: i64,
    pub(super) refunded: i64,
    pub(super) state: PaymentState,
    /// Empty where there is none.
    pub(super) reference: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) day: String,
    pub(super) item_id: String,
    pub(super) score: i64,
}

impl Order {
    /// What is charged for it.
    pub(super) fn charge(&self) -> i64 {
        self.total - self.points
    }

    /// Whether all its effects are there.
    pub(super) fn is_sale(&self) -> bool {
        rank(self.state).is_some()
    }

    /// Whether none of its effects is there any more.
    pub(super) fn is_undone(&self) -> bool {
        matches!(self.state, OrderState::Cancelled | OrderState::Failed)
    }

    /// As this house writes it: `PAID`.
    pub(super) fn state_name(&self) -> &'static str {
        self.state.as_str_name().trim_start_matches("ORDER_STATE_")
    }
}

/// How far a paid order has been moved on: 0 is PAID, 3 is DELIVERED.
pub(super) fn rank(state: OrderState) -> Option<usize> {
    match state {
        OrderState::Paid => Some(0),
        OrderState::Preparing => Some(1),
        OrderState::Shipping => Some(2),
        OrderState::Delivered => Some(3),
        OrderState::Unspecified
        | OrderState::Pending
        | OrderState::Cancelling
        | OrderState::Cancelled
        | OrderState::Failed => None,
    }
}
