//! Noun -> protobuf.

use kit::page::token;
use prost_types::Timestamp;
use proto::order::v1 as pb;
use proto::r#type::v1 as types;
use time::OffsetDateTime;

use crate::cursor::Listed;
use crate::item::Item;
use crate::order::{CouponId, HoldId, Order, Reason, State};
use crate::saga::{Kind, Progress, Status, Step};

pub(super) fn item(item: &Item) -> pb::Item {
    pb::Item {
        item_id: item.wish.item_id.to_string(),
        venue_id: item.wish.venue_id.to_string(),
        name: item.wish.name.clone(),
        price: Some(money(&item.wish.price.currency, item.wish.price.minor_units)),
        stock: item.stock,
        sold: item.sold,
    }
}

pub(super) fn items(list: &str, listed: &Listed<Item>) -> pb::ListItemsResponse {
    let items = listed.found.iter().map(item).collect();
    pb::ListItemsResponse { items, next_page_token: token(list.to_owned(), listed.next.clone()) }
}

pub(super) fn orders(list: &str, listed: &Listed<Order>) -> pb::ListOrdersResponse {
    let orders = listed.found.iter().map(order).collect();
    pb::ListOrdersResponse { orders, next_page_token: token(list.to_owned(), listed.next.clone()) }
}

/// The order as clients and events have it.
#[must_use]
pub fn order(order: &Order) -> pb::Order {
    let amount = |minor_units| Some(money(&order.subtotal.currency, minor_units));
    let line = |line: &crate::order::Line| pb::OrderLine {
        item_id: line.item_id.clone(),
        quantity: line.quantity,
        unit_price: amount(line.unit_price),
        venue_id: line.venue_id.clone(),
    };
    pb::Order {
        order_id: order.order_id.to_string(),
        user_id: order.user_id.to_string(),
        lines: order.lines.iter().map(line).collect(),
        coupon_id: order.coupon_id.as_ref().map(CouponId::to_string).unwrap_or_default(),
        hold_id: order.hold_id.as_ref().map(HoldId::to_string).unwrap_or_default(),
        points_used: order.points,
        subtotal: amount(order.subtotal.minor_units),
        discount: amount(order.discount),
        total: amount(order.total()),
        state: state(order.state).into(),
        reason: order.reason.map(Reason::as_str).unwrap_or_default().to_owned(),
        created_at: Some(timestamp(order.created_at)),
        version: order.version,
        paid_at: order.paid_at.map(timestamp),
    }
}

/// An amount of money.
#[must_use]
pub fn money(currency: &str, minor_units: i64) -> types::Money {
    types::Money { currency: currency.to_owned(), minor_units }
}

/// Which way a step is taken.
#[must_use]
pub fn step_kind(kind: Kind) -> types::StepKind {
    match kind {
        Kind::Do => types::StepKind::Do,
        Kind::Undo => types::StepKind::Undo,
    }
}

pub(super) fn step(progress: &Progress) -> pb::OrderStep {
    let step = match progress.step {
        Step::Stock => pb::SagaStep::Stock,
        Step::Coupon => pb::SagaStep::Coupon,
        Step::Hold => pb::SagaStep::Hold,
        Step::Points => pb::SagaStep::Points,
        Step::Payment => pb::SagaStep::Payment,
    };
    let state = match progress.status {
        Status::Asked => pb::StepState::Asked,
        Status::Done => pb::StepState::Done,
        Status::Refused => pb::StepState::Refused,
        Status::Abandoned => pb::StepState::Abandoned,
    };
    pb::OrderStep {
        step: step.into(),
        kind: step_kind(progress.kind).into(),
        state: state.into(),
        attempts: progress.attempts,
        cause: progress.cause.clone().unwrap_or_default(),
        asked_at: Some(timestamp(progress.asked_at())),
        ended_at: progress.ended_at().map(timestamp),
    }
}

fn state(state: State) -> pb::OrderState {
    match state {
        State::Pending => pb::OrderState::Pending,
        State::Paid => pb::OrderState::Paid,
        State::Preparing => pb::OrderState::Preparing,
        State::Shipping => pb::OrderState::Shipping,
        State::Delivered => pb::OrderState::Delivered,
        State::Cancelling => pb::OrderState::Cancelling,
        State::Cancelled => pb::OrderState::Cancelled,
        State::Failed => pb::OrderState::Failed,
    }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
