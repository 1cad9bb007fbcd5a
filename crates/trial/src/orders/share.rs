//! A part of a whole, as a person writes it: `10%`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, ensure};

/// From 0 to 1; as text from `0%` to `100%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// From 0 to 1.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// So much of `whole`, to the nearest.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        (self.0 * whole as f64).round() as usize
    }
}

impl FromStr for Share {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let number = text.strip_suffix('%').context("a share is written like 10%")?;
        let percent: f64 = number.parse().with_context(|| format!("{number:?} is not a number"))?;
        ensure!((0.0..=100.0).contains(&percent), "a share is from 0% to 100%");
        Ok(Self(percent / 100.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_per_cent() {
        let ten: Share = "10%".parse().unwrap();
        assert_eq!((ten.of(20_000), ten.of(4), ten.of(5), ten.to_string().as_str()), (2_000, 0, 1, "10%"));
        assert_eq!("2.5%".parse::<Share>().unwrap().of(200), 5);
        for wrong in ["10", "0.1", "-1%", "101%", "NaN%", "%", ""] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
