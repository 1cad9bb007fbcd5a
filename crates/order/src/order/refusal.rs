//! Every "no" of this service.

use kit::error::Code;

use super::State;
use crate::item::ItemId;

/// Every "no" of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such item.
    ItemNotFound {
        /// Which.
        item_id: ItemId,
    },
    /// There is no such order.
    OrderNotFound,
    /// Not so many of it are on hand.
    OutOfStock {
        /// Of which item.
        item_id: ItemId,
    },
    /// It costs something else than the client believes.
    PriceChanged {
        /// Which item.
        item_id: ItemId,
        /// What it costs, in minor units.
        unit_price: i64,
    },
    /// Tables cannot be booked by an order yet.
    HoldUnsupported,
    /// From this state the order does not go to that one.
    InvalidTransition {
        /// Where it stands.
        from: State,
    },
    /// An order in this state cannot be cancelled.
    NotCancellable {
        /// Where it stands.
        from: State,
    },
}

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "order.booster";

    fn code(&self) -> Code {
        match self {
            Self::ItemNotFound { .. } | Self::OrderNotFound => Code::NotFound,
            Self::OutOfStock { .. } => Code::ResourceExhausted,
            Self::PriceChanged { .. } => Code::Aborted,
            Self::HoldUnsupported | Self::InvalidTransition { .. } | Self::NotCancellable { .. } => {
                Code::FailedPrecondition
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ItemNotFound { .. } => "ITEM_NOT_FOUND",
            Self::OrderNotFound => "ORDER_NOT_FOUND",
            Self::OutOfStock { .. } => "OUT_OF_STOCK",
            Self::PriceChanged { .. } => "PRICE_CHANGED",
            Self::HoldUnsupported => "HOLD_UNSUPPORTED",
            Self::InvalidTransition { .. } => "INVALID_TRANSITION",
            Self::NotCancellable { .. } => "NOT_CANCELLABLE",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::ItemNotFound { item_id } => format!("there is no item {item_id}"),
            Self::OrderNotFound => "there is no such order".to_owned(),
            Self::OutOfStock { item_id } => format!("not so many of {item_id} are on hand"),
            Self::PriceChanged { item_id, unit_price } => format!("{item_id} costs {unit_price} now"),
            Self::HoldUnsupported => "an order cannot book tables yet: place it without hold_id".to_owned(),
            Self::InvalidTransition { from } => format!("the order is {}, which that does not follow", from.as_str()),
            Self::NotCancellable { from } => format!("the order is {}: it cannot be cancelled", from.as_str()),
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::PriceChanged { item_id, unit_price } => {
                vec![("item_id", item_id.to_string()), ("unit_price_minor", unit_price.to_string())]
            }
            Self::OutOfStock { item_id } | Self::ItemNotFound { item_id } => vec![("item_id", item_id.to_string())],
            Self::InvalidTransition { from } | Self::NotCancellable { from } => {
                vec![("state", from.as_str().to_owned())]
            }
            Self::OrderNotFound | Self::HoldUnsupported => Vec::new(),
        }
    }
}
