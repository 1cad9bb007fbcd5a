//! Money: whole minor units of one currency, never a fraction.

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// ISO 4217, three capital letters.
    pub currency: String,
    /// In minor units: won, cents.
    pub minor_units: i64,
}

impl Money {
    /// Checks it as the request's `field`: its currency has the right shape, and it is `least` or more.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self, field: &'static str, least: i64) -> Result<(), Invalid> {
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Invalid::new(field, "has a currency that is not three capital letters (ISO 4217)"));
        }
        if self.minor_units < least {
            return Err(Invalid::new(field, format!("is {}; it is {least} or more", self.minor_units)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_a_shape_and_an_amount_a_bound() {
        let money = |currency: &str, minor_units| Money { currency: currency.to_owned(), minor_units };
        assert!(money("KRW", 0).check("price", 0).is_ok());
        for wrong in [money("krw", 1), money("KR", 1), money("KRWX", 1), money("K€", 1), money("KRW", -1)] {
            assert_eq!(wrong.check("price", 0).unwrap_err().field, "price", "{wrong:?}");
        }
    }
}
