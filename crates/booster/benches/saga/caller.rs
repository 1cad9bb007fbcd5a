//! Who places orders.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use proto::order::v1 as pb;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::r#type::v1::Money;
use tonic::transport::Channel;
use trial::bench::Caller;

/// What an item costs.
pub const PRICE: i64 = 10_000;
/// The points that an order uses.
pub const POINTS: i64 = 10;
/// Items, so that orders do not all want the same one.
pub const ITEMS: u64 = 100;
/// Users, each with points.
pub const USERS: u64 = 1_000;

/// What an order needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A coupon, points, and a payment.
    Whole,
    /// A payment.
    Plain,
}

impl Kind {
    /// What the placing of such orders is called.
    pub fn placed(self) -> &'static str {
        match self {
            Self::Whole => "whole, placed",
            Self::Plain => "plain, placed",
        }
    }

    /// What it is called until all of them are paid.
    pub fn paid(self) -> &'static str {
        match self {
            Self::Whole => "whole, paid",
            Self::Plain => "plain, paid",
        }
    }
}

/// Somebody who places orders.
#[derive(Clone)]
pub struct Placer {
    pub client: OrderServiceClient<Channel>,
    pub kind: Kind,
    /// The deal of this turn; its coupons are held by users `<turn>-<number>`, in the order of their ranks.
    pub turn: String,
    pub next: Arc<AtomicU64>,
}

/// The item of an order.
pub fn item(number: u64) -> String {
    format!("item-{}", number % ITEMS)
}

/// The user of an order: of a coupon there is one for each.
pub fn user(kind: Kind, turn: &str, number: u64) -> String {
    match kind {
        Kind::Whole => format!("{turn}-{number}"),
        Kind::Plain => format!("user-{}", number % USERS),
    }
}

impl Caller for Placer {
    async fn call(&mut self) -> anyhow::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_whole = self.kind == Kind::Whole;
        let price = Money { currency: "KRW".to_owned(), minor_units: PRICE };
        let line = pb::NewOrderLine { item_id: item(number), quantity: 1, expected_unit_price: Some(price) };
        let asked = pb::PlaceOrderRequest {
            user_id: user(self.kind, &self.turn, number),
            lines: vec![line],
            coupon_id: if is_whole { format!("{}-{}", self.turn, number + 1) } else { String::new() },
            hold_id: String::new(),
            points_to_use: if is_whole { POINTS } else { 0 },
            payment_method: "sandbox".to_owned(),
            request_id: format!("{}-{number}", self.turn),
        };
        self.client.place_order(asked).await.context("PlaceOrder")?;
        Ok(())
    }
}
