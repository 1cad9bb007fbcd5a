//! What a coupon is worth, counted here a second time: the judge does not ask those whom he judges.

use proto::promotion::v1::{Discount, discount, prize};
use proto::r#type::v1::Money;

use super::CURRENCY;

/// What a coupon is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orders) enum Prize {
    /// So many per cent of the order, rounded down, and at most so much.
    Percent(i32, Option<i64>),
    /// So much, and at most the order.
    Amount(i64),
}

impl Prize {
    /// What it takes off, in minor units.
    pub(in crate::orders) fn off(self, subtotal: i64) -> i64 {
        match self {
            Self::Percent(percent, most) => {
                let off = i128::from(subtotal) * i128::from(percent) / 100;
                i64::try_from(off).unwrap_or(subtotal).min(most.unwrap_or(i64::MAX))
            }
            Self::Amount(amount) => amount.min(subtotal),
        }
    }

    pub(super) fn of_deal(number: usize) -> Self {
        [Self::Percent(10, None), Self::Amount(2_000), Self::Percent(50, Some(5_000)), Self::Percent(100, None)]
            [number % 4]
    }
}

impl From<Prize> for proto::promotion::v1::Prize {
    fn from(prize: Prize) -> Self {
        let discount = match prize {
            Prize::Percent(percent, most) => Discount {
                off: Some(discount::Off::Percent(percent)),
                max_amount: most.map(won),
                ..Discount::default()
            },
            Prize::Amount(amount) => Discount { off: Some(discount::Off::Amount(won(amount))), ..Discount::default() },
        };
        Self { kind: Some(prize::Kind::Discount(discount)) }
    }
}

fn won(minor_units: i64) -> Money {
    Money { currency: CURRENCY.to_owned(), minor_units }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prize_is_rounded_down_and_never_more_than_the_order() {
        assert_eq!(Prize::Percent(10, None).off(3_999), 399);
        assert_eq!(Prize::Percent(50, Some(5_000)).off(20_000), 5_000);
        assert_eq!(Prize::Percent(100, None).off(7), 7);
        assert_eq!((Prize::Amount(2_000).off(1_500), Prize::Amount(2_000).off(9_000)), (1_500, 2_000));
    }
}
