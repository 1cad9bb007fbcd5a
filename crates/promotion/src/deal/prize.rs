//! What a coupon is worth. Its JSON stands in Redis: `held.lua` reads how long a coupon is valid out of it, and `deal.lua`
//! compares it as text.

use kit::error::Invalid;
use serde::{Deserialize, Serialize};

/// The longest time that a coupon may be valid: ten years, in seconds.
const VALID_FOR_LONGEST: i64 = 10 * 366 * 86_400;

/// What a coupon is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prize {
    /// Money off an order.
    Discount(Discount),
}

/// Money off an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// How much.
    pub off: Off,
    /// At most this much.
    pub max_amount: Option<Money>,
    /// Only for an order that is worth at least this much.
    pub min_order: Option<Money>,
    /// How long after it was claimed the coupon may be redeemed, in seconds. None: for ever.
    pub valid_for_seconds: Option<i64>,
}

/// How much is taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// 1 to 100 per cent.
    Percent(i32),
    /// A fixed amount.
    Amount(Money),
}

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// ISO 4217.
    pub currency: String,
    /// Never a fraction.
    pub minor_units: i64,
}

impl Prize {
    /// Whether this can be given.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        let Self::Discount(discount) = self;
        let amount = match &discount.off {
            Off::Percent(percent) if !(1..=100).contains(percent) => {
                let why = format!("is {percent}; it is 1 to 100");
                return Err(Invalid::new("deal.prize.discount.percent", why));
            }
            Off::Amount(_) if discount.max_amount.is_some() => {
                return Err(Invalid::new("deal.prize.discount.max_amount", "goes with percent only"));
            }
            Off::Percent(_) => None,
            Off::Amount(amount) => Some(amount),
        };
        let amounts = [
            ("deal.prize.discount.amount", amount),
            ("deal.prize.discount.max_amount", discount.max_amount.as_ref()),
            ("deal.prize.discount.min_order", discount.min_order.as_ref()),
        ];
        for (field, money) in amounts.into_iter().filter_map(|(field, money)| Some((field, money?))) {
            money.check(field)?;
        }
        match discount.valid_for_seconds {
            Some(seconds) if !(1..=VALID_FOR_LONGEST).contains(&seconds) => {
                Err(Invalid::new("deal.prize.discount.valid_for", "is not between one second and ten years"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// How long after it was claimed the coupon may be redeemed, in seconds. None: for ever.
    #[must_use]
    pub fn valid_for_seconds(&self) -> Option<i64> {
        let Self::Discount(discount) = self;
        discount.valid_for_seconds
    }
}

impl Money {
    fn check(&self, field: &'static str) -> Result<(), Invalid> {
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Invalid::new(field, "has a currency that is not three capital letters (ISO 4217)"));
        }
        if self.minor_units <= 0 {
            return Err(Invalid::new(field, format!("is {}; it is above zero", self.minor_units)));
        }
        Ok(())
    }
}
