//! Items and orders as they stand, one or a page of them.

use kit::error::Error;
use kit::postgres::Pool;

use crate::cursor::{Cursor, Listed};
use crate::item::{Item, ItemId, VenueId};
use crate::order::{Order, OrderId, Refusal, UserId};
use crate::postgres::{item as items, order as orders};

/// One item.
///
/// # Errors
/// [`Refusal::ItemNotFound`].
pub async fn item(pool: &Pool, item_id: &ItemId) -> Result<Item, Error<Refusal>> {
    Ok(items::get(pool, item_id).await?.ok_or_else(|| Refusal::ItemNotFound { item_id: item_id.clone() })?)
}

/// A page of items, newest first.
///
/// # Errors
/// [`Error::Unavailable`] where PostgreSQL is away.
pub async fn items(
    pool: &Pool,
    venue_id: Option<&VenueId>,
    after: Option<&Cursor>,
    size: usize,
) -> Result<Listed<Item>, Error<Refusal>> {
    let found = items::page(pool, venue_id, after, one_more(size)).await?;
    Ok(Listed::cut(found, size, |item| Cursor::new(item.created_at, item.wish.item_id.as_str())))
}

/// One order.
///
/// # Errors
/// [`Refusal::OrderNotFound`].
pub async fn order(pool: &Pool, order_id: &OrderId) -> Result<Order, Error<Refusal>> {
    Ok(orders::get(pool, order_id).await?.ok_or(Refusal::OrderNotFound)?)
}

/// A page of the orders of one user, newest first.
///
/// # Errors
/// [`Error::Unavailable`] where PostgreSQL is away.
pub async fn orders(
    pool: &Pool,
    user_id: &UserId,
    after: Option<&Cursor>,
    size: usize,
) -> Result<Listed<Order>, Error<Refusal>> {
    let found = orders::page(pool, user_id, after, one_more(size)).await?;
    Ok(Listed::cut(found, size, |order| Cursor::new(order.created_at, order.order_id.as_str())))
}

/// One more than is needed tells whether there is another page.
fn one_more(size: usize) -> i64 {
    i64::try_from(size + 1).unwrap_or(i64::MAX)
}
