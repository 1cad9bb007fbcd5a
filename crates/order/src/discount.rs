//! What a coupon takes off an order.

use kit::money::Money;

/// What a coupon is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// How much.
    pub off: Off,
    /// At most this much.
    pub max_amount: Option<Money>,
    /// Only for an order that is worth at least this much.
    pub min_order: Option<Money>,
}

/// How much is taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Off {
    /// 1 to 100 per cent.
    Percent(i32),
    /// A fixed amount.
    Amount(Money),
}

impl Offer {
    /// What it takes off `subtotal`, in minor units, rounded down; never more than the subtotal. Nothing where it is not for such
    /// an order: another currency, or too small.
    #[must_use]
    pub fn of(&self, subtotal: &Money) -> Option<i64> {
        let is_small = |least: &Money| subtotal.minor_units < least.minor_units;
        let amounts = [self.max_amount.as_ref(), self.min_order.as_ref()].into_iter().flatten();
        if amounts.into_iter().any(|money| money.currency != subtotal.currency)
            || self.min_order.as_ref().is_some_and(is_small)
        {
            return None;
        }
        let off = match &self.off {
            Off::Percent(percent) => {
                let off = i128::from(subtotal.minor_units) * i128::from((*percent).clamp(0, 100)) / 100;
                i64::try_from(off).ok()?
            }
            Off::Amount(money) if money.currency == subtotal.currency => money.minor_units,
            Off::Amount(_) => return None,
        };
        let most = self.max_amount.as_ref().map_or(i64::MAX, |money| money.minor_units);
        Some(off.min(most).clamp(0, subtotal.minor_units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won(minor_units: i64) -> Money {
        Money { currency: "KRW".to_owned(), minor_units }
    }

    fn percent(percent: i32) -> Offer {
        Offer { off: Off::Percent(percent), max_amount: None, min_order: None }
    }

    #[test]
    fn a_share_is_rounded_down_and_bounded() {
        assert_eq!(percent(15).of(&won(999)), Some(149));
        assert_eq!(percent(100).of(&won(i64::MAX)), Some(i64::MAX));
        assert_eq!(Offer { max_amount: Some(won(100)), ..percent(15) }.of(&won(999)), Some(100));
    }

    #[test]
    fn an_amount_is_never_more_than_the_order() {
        let offer = Offer { off: Off::Amount(won(5_000)), max_amount: None, min_order: None };
        assert_eq!(
            (offer.of(&won(7_000)), offer.of(&won(3_000)), offer.of(&won(0))),
            (Some(5_000), Some(3_000), Some(0))
        );
    }

    #[test]
    fn an_order_of_another_currency_or_too_small_gets_nothing() {
        let euro = Money { currency: "EUR".to_owned(), minor_units: 1 };
        assert_eq!(Offer { off: Off::Amount(euro.clone()), max_amount: None, min_order: None }.of(&won(9)), None);
        assert_eq!(Offer { max_amount: Some(euro.clone()), ..percent(5) }.of(&won(9)), None);
        assert_eq!(Offer { min_order: Some(euro), ..percent(5) }.of(&won(9)), None);
        assert_eq!(Offer { min_order: Some(won(10)), ..percent(5) }.of(&won(9)), None);
        assert_eq!(Offer { min_order: Some(won(9)), ..percent(50) }.of(&won(9)), Some(4));
    }
}
