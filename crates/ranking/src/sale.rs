//! A sale: what an order has sold, on which days, and whether that counts.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::board::{ItemId, OrderId};

/// How many of an item one line sells, at most.
pub const QUANTITY_MOST: i64 = 1_000_000;
/// Lines of an order, at most.
pub const LINES_MOST: usize = 1_000;

/// What was sold of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The day of its venue.
    pub day: Date,
    /// Which item.
    pub item_id: ItemId,
    /// How many, above zero.
    pub quantity: i64,
}

/// What has been heard of an order: that it was paid, or that it was cancelled after it had been, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Which order.
    pub order_id: OrderId,
    /// What it has sold.
    pub lines: Vec<Line>,
    /// Whether it was heard of as paid.
    pub paid: bool,
    /// Whether it was heard of as cancelled.
    pub cancelled: bool,
}

/// A sale that has begun to count, or does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What it has sold, as it was first heard of.
    pub lines: Vec<Line>,
    /// Whether it counts now.
    pub counts: bool,
}

/// By how much scores change, each above or below zero, in the order of days and items.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of an item on a day.
    pub days: BTreeMap<(Date, ItemId), i64>,
    /// Of an item since there are sales.
    pub all_time: BTreeMap<ItemId, i64>,
}

/// What was heard of each order, once, in the order of their ids: two batches then wait for each other in the same order. Its lines
/// are those that were heard first.
#[must_use]
pub fn fold(heard: Vec<Sale>) -> Vec<Sale> {
    let mut sales: BTreeMap<OrderId, Sale> = BTreeMap::new();
    for sale in heard {
        match sales.get_mut(&sale.order_id) {
            Some(known) => {
                known.paid |= sale.paid;
                known.cancelled |= sale.cancelled;
            }
            None => drop(sales.insert(sale.order_id.clone(), sale)),
        }
    }
    sales.into_values().collect()
}

impl Changes {
    /// What all of these change together. A batch has few enough lines that no sum of theirs is too large for its type.
    #[must_use]
    pub fn of(turns: &[Turn]) -> Self {
        let mut changes = Self::default();
        for Turn { lines, counts } in turns {
            for Line { day, item_id, quantity } in lines {
                let by = if *counts { *quantity } else { -quantity };
                *changes.days.entry((*day, item_id.clone())).or_default() += by;
                *changes.all_time.entry(item_id.clone()).or_default() += by;
            }
        }
        changes.days.retain(|_, by| *by != 0);
        changes.all_time.retain(|_, by| *by != 0);
        changes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(day: i8, item: &str, quantity: i64) -> Line {
        Line { day: Date::constant(2026, 11, day), item_id: ItemId::parse(item).unwrap(), quantity }
    }

    fn sale(order: &str, lines: &[Line], paid: bool) -> Sale {
        Sale { order_id: OrderId::parse(order).unwrap(), lines: lines.to_vec(), paid, cancelled: !paid }
    }

    #[test]
    fn what_is_heard_of_an_order_is_one_sale() {
        let (tea, cake) = (line(1, "tea", 1), line(1, "cake", 2));
        let heard = vec![
            sale("b", std::slice::from_ref(&tea), true),
            sale("a", std::slice::from_ref(&cake), false),
            sale("b", &[], false),
            sale("b", &[], true),
        ];
        let folded = fold(heard);
        let told: Vec<_> = folded.iter().map(|sale| (sale.order_id.as_str(), sale.paid, sale.cancelled)).collect();
        assert_eq!(told, [("a", false, true), ("b", true, true)]);
        assert_eq!(folded[1].lines, [tea]);
    }

    #[test]
    fn what_comes_and_goes_changes_nothing() {
        let lines = vec![line(1, "tea", 2), line(2, "tea", 3), line(1, "cake", 1)];
        let turn = |counts| Turn { lines: lines.clone(), counts };
        assert_eq!(Changes::of(&[turn(true), turn(false)]), Changes::default());
        let changes = Changes::of(&[turn(true), turn(true), turn(false)]);
        assert_eq!(changes.days.values().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(changes.all_time.values().copied().collect::<Vec<_>>(), [1, 5]);
        assert_eq!(Changes::of(&[turn(false)]).all_time.values().copied().collect::<Vec<_>>(), [-1, -5]);
    }

    proptest! {
        #[test]
        fn days_add_up_to_all_time(turns in prop::collection::vec((1..5_i8, 0..4_u8, 1..100_i64, any::<bool>()), 0..40)) {
            let turn = |(day, item, quantity, counts)| {
                Turn { lines: vec![line(day, &format!("i{item}"), quantity)], counts }
            };
            let changes = Changes::of(&turns.into_iter().map(turn).collect::<Vec<_>>());
            let mut sums: BTreeMap<ItemId, i64> = BTreeMap::new();
            for ((_, item_id), by) in changes.days {
                *sums.entry(item_id).or_default() += by;
            }
            sums.retain(|_, by| *by != 0);
            prop_assert_eq!(sums, changes.all_time);
        }
    }
}
