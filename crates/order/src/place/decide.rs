//! Which orders of a batch can be had: in the order of their arrival, each sees what those before it have left.

use std::collections::{BTreeMap, HashMap};

use kit::money::Money;
use time::OffsetDateTime;

use crate::item::Shelf;
use crate::order::{Line, Order, OrderId, Refusal, State, Wish};
use crate::saga::Saga;

/// What is on the shelves, less what this batch has taken.
pub(super) struct Shelves {
    shelves: HashMap<String, Shelf>,
    /// What this batch has taken of each item.
    pub(super) sold: BTreeMap<String, i64>,
    now: OffsetDateTime,
}

impl Shelves {
    pub(super) fn new(shelves: HashMap<String, Shelf>, now: OffsetDateTime) -> Self {
        Self { shelves, sold: BTreeMap::new(), now }
    }

    /// Takes all of it, or nothing: the first line that cannot be had says why. The order is not placed yet.
    pub(super) fn take(&mut self, wish: &Wish) -> Result<Order, Refusal> {
        let mut lines = Vec::with_capacity(wish.lines.len());
        let mut subtotal = 0_i64;
        for wished in &wish.lines {
            let item_id = wished.item_id.clone();
            let Some(shelf) = self.shelves.get(wished.item_id.as_str()) else {
                return Err(Refusal::ItemNotFound { item_id });
            };
            if shelf.price.minor_units != wished.expected_unit_price || shelf.price.currency != wish.currency {
                return Err(Refusal::PriceChanged { item_id, unit_price: shelf.price.minor_units });
            }
            if shelf.stock < wished.quantity {
                return Err(Refusal::OutOfStock { item_id });
            }
            subtotal += shelf.price.minor_units * wished.quantity;
            lines.push(Line {
                item_id: item_id.to_string(),
                venue_id: shelf.venue_id.clone(),
                quantity: wished.quantity,
                unit_price: shelf.price.minor_units,
            });
        }
        for line in &lines {
            if let Some(shelf) = self.shelves.get_mut(&line.item_id) {
                shelf.stock -= line.quantity;
            }
            *self.sold.entry(line.item_id.clone()).or_default() += line.quantity;
        }
        Ok(self.order(wish, lines, subtotal))
    }

    fn order(&self, wish: &Wish, lines: Vec<Line>, subtotal: i64) -> Order {
        Order {
            order_id: OrderId::random(),
            user_id: wish.user_id.clone(),
            lines,
            coupon_id: wish.coupon_id.clone(),
            hold_id: wish.hold_id.clone(),
            points: wish.points,
            subtotal: Money { currency: wish.currency.clone(), minor_units: subtotal },
            discount: 0,
            payment_method: wish.payment_method.clone(),
            state: State::Pending,
            reason: None,
            saga: Saga::default(),
            version: 0,
            created_at: self.now,
            paid_at: None,
            due_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::ItemId;
    use crate::order::{UserId, WishedLine};

    fn shelves(stock: i64) -> Shelves {
        let shelf = Shelf {
            venue_id: "venue".to_owned(),
            price: Money { currency: "KRW".to_owned(), minor_units: 100 },
            stock,
        };
        Shelves::new([("soup".to_owned(), shelf)].into(), OffsetDateTime::UNIX_EPOCH)
    }

    fn wish(item: &str, quantity: i64, price: i64) -> Wish {
        Wish {
            user_id: UserId::parse("ann").unwrap(),
            lines: vec![WishedLine { item_id: ItemId::parse(item).unwrap(), quantity, expected_unit_price: price }],
            currency: "KRW".to_owned(),
            coupon_id: None,
            hold_id: None,
            points: 0,
            payment_method: "sandbox".to_owned(),
        }
    }

    #[test]
    fn each_sees_what_those_before_have_left() {
        let mut shelves = shelves(5);
        assert_eq!(shelves.take(&wish("soup", 3, 100)).unwrap().subtotal.minor_units, 300);
        let item_id = ItemId::parse("soup").unwrap();
        assert_eq!(shelves.take(&wish("soup", 3, 100)).unwrap_err(), Refusal::OutOfStock { item_id });
        assert!(shelves.take(&wish("soup", 2, 100)).is_ok());
        assert_eq!(shelves.sold["soup"], 5);
    }

    #[test]
    fn what_cannot_be_had_takes_nothing() {
        let mut shelves = shelves(5);
        let item_id = ItemId::parse("soup").unwrap();
        let refused = Refusal::PriceChanged { item_id, unit_price: 100 };
        assert_eq!(shelves.take(&wish("soup", 1, 99)).unwrap_err(), refused);
        assert_eq!(shelves.take(&Wish { currency: "EUR".to_owned(), ..wish("soup", 1, 100) }).unwrap_err(), refused);
        let both = [wish("soup", 1, 100).lines, wish("tea", 1, 100).lines].concat();
        let both = Wish { lines: both, ..wish("soup", 1, 100) };
        assert_eq!(shelves.take(&both).unwrap_err(), Refusal::ItemNotFound { item_id: ItemId::parse("tea").unwrap() });
        assert!(shelves.sold.is_empty());
    }
}
