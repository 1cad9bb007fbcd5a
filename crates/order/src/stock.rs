//! Items: made, changed, and their stock.

use kit::error::Error;
use kit::postgres::{Pool, begin, commit};

use crate::find;
use crate::item::{Item, ItemId, STOCK_MOST, Wish};
use crate::order::{Refusal, RequestId};
use crate::postgres::item::Adjusted;
use crate::postgres::request::Made;
use crate::postgres::{item as rows, request as requests};

/// Makes an item, or changes name and price of the one that exists. Its stock stays.
///
/// # Errors
/// [`Error::Unavailable`] where it may or may not have happened.
pub async fn put(pool: &Pool, wish: &Wish) -> Result<Item, Error<Refusal>> {
    let item = rows::put(pool, wish).await?;
    Ok(item.ok_or_else(|| Refusal::ItemNotFound { item_id: wish.item_id.clone() })?)
}

/// Adds to the stock of an item, or takes from it, once for each request.
///
/// # Errors
/// [`Error::RequestIdReused`], [`Refusal::ItemNotFound`], [`Refusal::OutOfStock`]; [`Error::Unavailable`] where it may or may not
/// have happened.
pub async fn adjust(
    pool: &Pool,
    item_id: &ItemId,
    delta: i64,
    (request_id, digest): (RequestId, Vec<u8>),
) -> Result<Item, Error<Refusal>> {
    let mut tx = begin(pool).await?;
    let made = Made { digest, made: item_id.to_string() };
    if requests::note(&mut tx, &[(request_id.to_string(), made.clone())]).await? {
        match rows::adjust(&mut tx, item_id, delta, STOCK_MOST).await? {
            Adjusted::Yes => commit(tx).await?,
            Adjusted::No => return Err(Refusal::OutOfStock { item_id: item_id.clone() }.into()),
            Adjusted::NotFound => return Err(Refusal::ItemNotFound { item_id: item_id.clone() }.into()),
        }
    } else if requests::find(&mut tx, &[request_id.to_string()]).await?.get(request_id.as_str()) != Some(&made) {
        return Err(Error::RequestIdReused);
    }
    find::item(pool, item_id).await
}
