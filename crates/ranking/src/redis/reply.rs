//! Replies of the functions, read. What does not have the agreed shape is not an answer.

use std::time::Duration;

use fred::error::{Error as RedisError, ErrorKind};
use fred::types::Value;
use kit::redis::CallError;
use time::OffsetDateTime;

use crate::board::{Entry, ItemId, Standing, Top, ranked};

/// A reply, read from its front. The first part is the status.
pub(super) struct Reply {
    parts: std::vec::IntoIter<Value>,
}

/// What is known of all time, as it is kept.
pub(super) struct KeptTop {
    pub(super) as_of_us: i64,
    pub(super) age: Duration,
    pub(super) is_due: bool,
    pub(super) entries: Vec<Entry>,
}

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        Self { parts: value.into_array().into_iter() }
    }

    /// The status, and with it what else there is.
    pub(super) fn status<T>(mut self, read: impl FnOnce(&str, &mut Self) -> Option<T>) -> Result<T, CallError> {
        let status = self.text();
        let read = status.and_then(|status| read(&status, &mut self));
        read.ok_or_else(|| CallError::Unknown(RedisError::new(ErrorKind::Protocol, "a reply of another shape")))
    }

    pub(super) fn top(&mut self) -> Option<Top> {
        let as_of = kit::clock::from_millis(self.number()?);
        Some(Top { entries: ranked(1, self.scores()?), as_of })
    }

    pub(super) fn standing(&mut self) -> Option<Standing> {
        let (place, first) = (self.number()?, self.number()?);
        let mut entries = ranked(first + 1, self.scores()?);
        let at = usize::try_from(place - first).ok()?;
        if at >= entries.len() {
            return None;
        }
        let below = entries.split_off(at + 1);
        let entry = entries.pop()?;
        Some(Standing { entry, above: entries, below })
    }

    pub(super) fn kept_top(&mut self) -> Option<KeptTop> {
        let as_of_us = self.number()?;
        let age = Duration::from_millis(u64::try_from(self.number()?).ok()?);
        let is_due = self.number()? == 1;
        let entries: Vec<(String, i64)> = serde_json::from_str(&self.text()?).ok()?;
        let entries = entries.into_iter().map(|(item, score)| Some((ItemId::parse(&item).ok()?, score)));
        Some(KeptTop { as_of_us, age, is_due, entries: ranked(1, entries.collect::<Option<Vec<_>>>()?) })
    }

    /// All that is left, in pairs; nothing for what is no whole number, which we did not write.
    pub(super) fn pairs(&mut self) -> Vec<(String, Option<i64>)> {
        let mut pairs = Vec::with_capacity(self.parts.len() / 2);
        while let (Some(name), Some(value)) = (self.text(), self.text()) {
            pairs.push((name, value.parse().ok()));
        }
        pairs
    }

    pub(super) fn text(&mut self) -> Option<String> {
        self.parts.next()?.into_string()
    }

    pub(super) fn number(&mut self) -> Option<i64> {
        let value = self.parts.next()?;
        value.as_i64().or_else(|| value.into_string()?.parse().ok())
    }

    /// All that is left: items, and their scores below zero.
    fn scores(&mut self) -> Option<Vec<(ItemId, i64)>> {
        let mut scores = Vec::with_capacity(self.parts.len() / 2);
        while let Some(item) = self.text() {
            scores.push((ItemId::parse(&item).ok()?, self.number()?.checked_neg()?));
        }
        Some(scores)
    }
}

/// The instant of so many microseconds since 1970.
pub(super) fn from_micros(us: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The other way round.
pub(super) fn to_micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or_default()
}
