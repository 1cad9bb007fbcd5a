//! An item: what can be ordered, what it costs, and how many there are.

use kit::error::Invalid;
use kit::money::Money;
use time::OffsetDateTime;

kit::id!(
    /// Which item.
    ItemId, "item_id", 64
);
kit::id!(
    /// Whose item.
    VenueId, "venue_id", 64
);

/// The longest name, in characters.
const NAME_LONGEST: usize = 200;
/// The most that may be on hand of one item.
pub const STOCK_MOST: i64 = 1_000_000_000;
/// The highest price, in minor units: fifty lines of a million items each still fit into an `i64`.
pub const PRICE_MOST: i64 = 100_000_000_000;

/// An item as it stands. What was ever put into its stock is `stock + sold`, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What was ordered of it.
    pub wish: Wish,
    /// How many are on hand now.
    pub stock: i64,
    /// How many have been taken by orders that were not undone.
    pub sold: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// What an order has to know of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// Whose item it is.
    pub venue_id: String,
    /// What one of it costs.
    pub price: Money,
    /// How many are on hand.
    pub stock: i64,
}

/// An item as somebody wants it to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name for machines.
    pub item_id: ItemId,
    /// Whose it is.
    pub venue_id: VenueId,
    /// Its name for people.
    pub name: String,
    /// What one of it costs.
    pub price: Money,
    /// How many are on hand when it is made.
    pub stock: i64,
}

impl Wish {
    /// Whether there can be such an item.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.name.chars().count() > NAME_LONGEST {
            return Err(Invalid::new("item.name", format!("is longer than {NAME_LONGEST} characters")));
        }
        // PostgreSQL has no text with it.
        if self.name.contains('\0') {
            return Err(Invalid::new("item.name", "has a zero byte"));
        }
        self.price.check("item.price", 0)?;
        if self.price.minor_units > PRICE_MOST {
            return Err(Invalid::new("item.price", format!("is above {PRICE_MOST}")));
        }
        if !(0..=STOCK_MOST).contains(&self.stock) {
            return Err(Invalid::new("item.stock", format!("is {}; it is 0 to {STOCK_MOST}", self.stock)));
        }
        Ok(())
    }
}

/// Whether stock may be changed by so much at once.
///
/// # Errors
/// Names the field.
pub fn check_delta(delta: i64) -> Result<(), Invalid> {
    if delta == 0 || delta.checked_abs().is_none_or(|size| size > STOCK_MOST) {
        return Err(Invalid::new("delta", format!("is {delta}; it is 1 to {STOCK_MOST}, or as much below zero")));
    }
    Ok(())
}
