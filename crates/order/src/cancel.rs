//! Cancelling: an order is undone because its user wants it. Of one that is paid it is a second saga.

use kit::error::Error;
use kit::postgres::Pool;

use crate::order::{Order, OrderId, Refusal};
use crate::proceed::Orders;
use crate::saga::Event;

/// Begins to undo an order.
///
/// # Errors
/// [`Refusal::OrderNotFound`], [`Refusal::NotCancellable`]; [`Error::Unavailable`] where it may or may not have begun.
pub async fn cancel(pool: &Pool, orders: &Orders, order_id: &OrderId) -> Result<Order, Error<Refusal>> {
    let (change, order) = orders.take(pool, order_id).await?;
    if !order.state.is_cancellable() {
        return Err(Refusal::NotCancellable { from: order.state }.into());
    }
    orders.commit(change, order, Event::Cancel).await
}
