//! A place in a list that is sorted by time: after it the next page begins.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::deal::DealId;

/// Where one deal, or one coupon, stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When it was made, in microseconds since 1970.
    pub at_us: i64,
    /// The deal.
    pub deal_id: String,
    /// The coupon's rank; 0 for a deal.
    pub rank: i64,
}

impl Place {
    /// The place of what was made then.
    #[must_use]
    pub fn new(at: OffsetDateTime, deal_id: &DealId, rank: i64) -> Self {
        let at_us = i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        Self { at_us, deal_id: deal_id.to_string(), rank }
    }

    /// When it was made; nothing where no list can have such a place. It comes back from clients, and is only as true as whoever
    /// sends it: PostgreSQL has no answer to an instant that it does not know.
    #[must_use]
    pub fn at(&self) -> Option<OffsetDateTime> {
        let micros = u64::try_from(self.at_us).ok()?;
        let sound = DealId::parse(&self.deal_id).is_ok() && self.rank >= 0;
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok().filter(|_| sound)
    }
}
