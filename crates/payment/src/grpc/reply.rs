//! Noun -> protobuf.

use prost_types::Timestamp;
use proto::payment::v1 as pb;
use proto::r#type::v1 as types;
use time::OffsetDateTime;

use crate::find::Listed;
use crate::payment::{Payment, State};

/// The payment as clients and events have it.
#[must_use]
pub fn payment(payment: &Payment) -> pb::Payment {
    let money = |minor_units| types::Money { currency: payment.amount.currency.clone(), minor_units };
    pb::Payment {
        payment_id: payment.payment_id.to_string(),
        order_id: payment.order_id.to_string(),
        user_id: payment.user_id.to_string(),
        amount: Some(money(payment.amount.minor_units)),
        refunded: Some(money(payment.refunded())),
        state: state(payment.state).into(),
        provider_reference: payment.provider_reference.clone().unwrap_or_default(),
        created_at: Some(timestamp(payment.created_at)),
        version: payment.version,
    }
}

pub(super) fn list_payments(list: String, listed: Listed) -> pb::ListPaymentsResponse {
    let next = listed.next.map(|payment_id| payment_id.to_string());
    pb::ListPaymentsResponse {
        payments: listed.found.iter().map(payment).collect(),
        next_page_token: kit::page::token(list, next),
    }
}

fn state(state: State) -> pb::PaymentState {
    match state {
        State::Pending => pb::PaymentState::Pending,
        State::Charged => pb::PaymentState::Charged,
        State::Declined => pb::PaymentState::Declined,
        State::Voided => pb::PaymentState::Voided,
        State::Refunded => pb::PaymentState::Refunded,
    }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
