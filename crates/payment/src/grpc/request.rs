//! Protobuf -> noun, checked field by field.

use kit::error::Invalid;
use proto::payment::v1 as pb;

use crate::find::{By, Wished};
use crate::payment::{OrderId, PaymentId, State, UserId};

pub(super) fn get_payment(asked: &pb::GetPaymentRequest) -> Result<By, Invalid> {
    match &asked.by {
        Some(pb::get_payment_request::By::PaymentId(payment_id)) => Ok(By::Payment(PaymentId::parse(payment_id)?)),
        Some(pb::get_payment_request::By::OrderId(order_id)) => Ok(By::Order(OrderId::parse(order_id)?)),
        None => Err(Invalid::new("payment_id", "is missing, and so is order_id: one of them is needed")),
    }
}

/// Which list is asked for, and which page of it.
pub(super) fn list_payments(asked: &pb::ListPaymentsRequest) -> Result<(String, Wished), Invalid> {
    let user_id = Some(asked.user_id.as_str()).filter(|user_id| !user_id.is_empty());
    let user_id = user_id.map(UserId::parse).transpose()?;
    let state = state(asked.state)?;
    let size = kit::page::size(asked.page_size)?;
    let list = format!("payments/{}/{}", user_id.as_ref().map_or("", UserId::as_str), state.map_or("", State::as_str));
    let after: Option<String> = kit::page::after(&list, &asked.page_token)?;
    // It comes back from a client, and has to be what this list can have given.
    let after = after.map(|last| PaymentId::parse(&last).map_err(|_| kit::page::foreign())).transpose()?;
    Ok((list, Wished { user_id, state, after, size }))
}

fn state(number: i32) -> Result<Option<State>, Invalid> {
    match pb::PaymentState::try_from(number) {
        Ok(pb::PaymentState::Unspecified) => Ok(None),
        Ok(pb::PaymentState::Pending) => Ok(Some(State::Pending)),
        Ok(pb::PaymentState::Charged) => Ok(Some(State::Charged)),
        Ok(pb::PaymentState::Declined) => Ok(Some(State::Declined)),
        Ok(pb::PaymentState::Voided) => Ok(Some(State::Voided)),
        Ok(pb::PaymentState::Refunded) => Ok(Some(State::Refunded)),
        Err(_) => Err(Invalid::new("state", format!("is {number}, which is no state of a payment"))),
    }
}
