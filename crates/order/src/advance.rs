//! Advancing: a paid order moves on, one state at a time.

use kit::error::Error;
use kit::postgres::Pool;

use crate::order::{Order, OrderId, Refusal, State};
use crate::proceed::Orders;
use crate::saga::Event;

/// Moves an order on. One that is in that state already stays as it is.
///
/// # Errors
/// [`Refusal::OrderNotFound`], [`Refusal::InvalidTransition`]; [`Error::Unavailable`] where it may or may not have happened.
pub async fn advance(pool: &Pool, orders: &Orders, order_id: &OrderId, to: State) -> Result<Order, Error<Refusal>> {
    let (change, order) = orders.take(pool, order_id).await?;
    if order.state == to && to != State::Paid {
        return Ok(order);
    }
    if !to.is_sale() || to == State::Paid || !order.state.next().contains(&to) {
        return Err(Refusal::InvalidTransition { from: order.state }.into());
    }
    orders.commit(change, order, Event::Advance(to)).await
}
