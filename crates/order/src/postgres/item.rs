//! Items, and their stock.

use std::collections::{BTreeMap, HashMap};

use kit::money::Money;
use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::cursor::Cursor;
use crate::item::{Item, ItemId, Shelf, VenueId, Wish};

/// An item as it is stored.
struct Columns {
    item_id: String,
    venue_id: String,
    name: String,
    currency: String,
    price: i64,
    stock: i64,
    sold: i64,
    created_at: OffsetDateTime,
}

impl Columns {
    /// Nothing where somebody has written what this service never writes.
    fn into_item(self) -> Option<Item> {
        let price = Money { currency: self.currency, minor_units: self.price };
        let (item_id, venue_id) = (ItemId::parse(&self.item_id).ok()?, VenueId::parse(&self.venue_id).ok()?);
        let wish = Wish { item_id, venue_id, name: self.name, price, stock: self.stock };
        Some(Item { wish, stock: self.stock, sold: self.sold, created_at: self.created_at })
    }
}

/// Makes an item, or changes name and price of the one that exists.
pub async fn put(pool: &Pool, wish: &Wish) -> Result<Option<Item>, Failure> {
    let columns = sqlx::query_as!(
        Columns,
        r#"INSERT INTO "order".item (item_id, venue_id, name, currency, price, stock, stocked)
           VALUES ($1, $2, $3, $4, $5, $6, $6)
           ON CONFLICT (item_id) DO UPDATE SET venue_id = excluded.venue_id, name = excluded.name,
             currency = excluded.currency, price = excluded.price
           RETURNING item_id, venue_id, name, currency, price, stock, sold, created_at"#,
        wish.item_id.as_str(),
        wish.venue_id.as_str(),
        wish.name,
        wish.price.currency,
        wish.price.minor_units,
        wish.stock,
    )
    .fetch_one(pool)
    .await?;
    Ok(columns.into_item())
}

/// One item.
pub async fn get(pool: &Pool, item_id: &ItemId) -> Result<Option<Item>, Failure> {
    let columns = sqlx::query_as!(
        Columns,
        r#"SELECT item_id, venue_id, name, currency, price, stock, sold, created_at
           FROM "order".item WHERE item_id = $1"#,
        item_id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(columns.and_then(Columns::into_item))
}

/// Items, newest first.
pub async fn page(
    pool: &Pool,
    venue_id: Option<&VenueId>,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<Item>, Failure> {
    let rows = sqlx::query_as!(
        Columns,
        r#"SELECT item_id, venue_id, name, currency, price, stock, sold, created_at FROM "order".item
           WHERE ($1::text IS NULL OR venue_id = $1)
             AND ($2::timestamptz IS NULL OR (created_at, item_id) < ($2, $3))
           ORDER BY created_at DESC, item_id DESC LIMIT $4"#,
        venue_id.map(VenueId::as_str),
        after.and_then(Cursor::at),
        after.map(|after| after.id.as_str()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(Columns::into_item).collect())
}

/// What became of an order to change the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjusted {
    /// Done.
    Yes,
    /// More would be taken than there is, or more be there than can be.
    No,
    /// There is no such item.
    NotFound,
}

/// Adds to the stock, or takes from it.
pub async fn adjust(tx: &mut Tx, item_id: &ItemId, delta: i64, most: i64) -> Result<Adjusted, Failure> {
    let stock = sqlx::query_scalar!(
        r#"SELECT stock FROM "order".item WHERE item_id = $1 FOR NO KEY UPDATE"#,
        item_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(stock) = stock else { return Ok(Adjusted::NotFound) };
    if stock.checked_add(delta).is_none_or(|stock| !(0..=most).contains(&stock)) {
        return Ok(Adjusted::No);
    }
    sqlx::query!(
        r#"UPDATE "order".item SET stock = stock + $2, stocked = stocked + $2 WHERE item_id = $1"#,
        item_id.as_str(),
        delta,
    )
    .execute(&mut **tx)
    .await?;
    Ok(Adjusted::Yes)
}

/// The items as they stand, locked in the order of their names until the transaction ends.
pub async fn shelves(tx: &mut Tx, item_ids: &[String]) -> Result<HashMap<String, Shelf>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT item_id, venue_id, currency, price, stock FROM "order".item
           WHERE item_id = ANY($1) ORDER BY item_id FOR NO KEY UPDATE"#,
        item_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let shelves = rows.into_iter().map(|row| {
        let price = Money { currency: row.currency, minor_units: row.price };
        (row.item_id, Shelf { venue_id: row.venue_id, price, stock: row.stock })
    });
    Ok(shelves.collect())
}

/// Moves so many of each item from the stock to what was sold; below zero they come back. In the order of their names, so that no two
/// transactions wait for each other.
pub async fn sell(tx: &mut Tx, sold: &BTreeMap<String, i64>) -> Result<(), Failure> {
    let item_ids: Vec<&str> = sold.keys().map(String::as_str).collect();
    let numbers: Vec<i64> = sold.values().copied().collect();
    sqlx::query!(
        r#"WITH moved AS MATERIALIZED (
             SELECT item.item_id, t.number
             FROM UNNEST($1::text[], $2::bigint[]) AS t (item_id, number) JOIN "order".item USING (item_id)
             ORDER BY item.item_id FOR NO KEY UPDATE OF item)
           UPDATE "order".item SET stock = stock - moved.number, sold = sold + moved.number
           FROM moved WHERE item.item_id = moved.item_id"#,
        &item_ids as &[&str],
        &numbers,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
