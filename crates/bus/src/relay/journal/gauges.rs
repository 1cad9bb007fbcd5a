//! What a relay tells of its journals: how long they are, and how late what stands in them is, first for Kafka and then for
//! the consumer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::journal::{EntryId, Position, Tag};

/// Marks of one tag that are remembered until the consumer has passed them, at most: one a second. Beyond it newer ones are
/// not noted, and the age of the oldest stays right.
const MARKS: usize = 600;

/// The gauges of one turn. Whoever gives up the lease tells zeros, so that the sum over all processes stays right.
pub(super) struct Gauges {
    service: &'static str,
    tags: Mutex<HashMap<Tag, Lateness>>,
}

/// How late one journal is.
#[derive(Default)]
struct Lateness {
    /// The first entry that Kafka has not acknowledged, as far as it was read.
    unsent: Option<EntryId>,
    /// Up to where Kafka has acknowledged.
    mark: Position,
    /// Marks that the consumer has not reached, the oldest first, and when each was seen.
    ahead: VecDeque<(Position, Instant)>,
}

impl Gauges {
    /// This process relays from now on.
    pub(super) fn new(service: &'static str) -> Self {
        metrics::gauge!("booster_relay_active", "service" => service).set(1);
        Self { service, tags: Mutex::default() }
    }

    /// A journal was read: so long it is, and this is the first entry that is to be sent.
    pub(super) fn read(&self, tag: Tag, length: i64, unsent: Option<EntryId>) {
        self.length(tag, length);
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).entry(tag).or_default().unsent = unsent;
    }

    /// Kafka has acknowledged everything up to here.
    pub(super) fn acknowledged(&self, tag: Tag, mark: Position) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let lateness = tags.entry(tag).or_default();
        (lateness.unsent, lateness.mark) = (None, mark);
    }

    /// The consumer has come so far. To be called once a second.
    pub(super) fn look(&self, progress: &HashMap<Tag, Position>) {
        let (now, now_ms) = (Instant::now(), kit::clock::to_millis(kit::clock::now()));
        let (mut relay_ms, mut consumer_ms) = (0, 0);
        for (tag, lateness) in self.tags.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            relay_ms = relay_ms.max(lateness.unsent_ms(now_ms));
            consumer_ms = consumer_ms.max(lateness.ahead_ms(progress.get(tag).copied().unwrap_or_default(), now));
        }
        self.lag(seconds(relay_ms), seconds(consumer_ms));
    }

    fn length(&self, tag: Tag, entries: i64) {
        metrics::gauge!("booster_journal_entries", "service" => self.service, "tag" => tag.to_string())
            .set(number(entries));
    }

    fn lag(&self, relay: f64, consumer: f64) {
        metrics::gauge!("booster_relay_lag_seconds", "service" => self.service).set(relay);
        metrics::gauge!("booster_consumer_lag_seconds", "service" => self.service).set(consumer);
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        metrics::gauge!("booster_relay_active", "service" => self.service).set(0);
        self.lag(0.0, 0.0);
        let tags = std::mem::take(&mut *self.tags.lock().unwrap_or_else(PoisonError::into_inner));
        tags.into_keys().for_each(|tag| self.length(tag, 0));
    }
}

impl Lateness {
    /// How old the first entry is that Kafka has not acknowledged. It has its time from Redis, whose clock may be a little ahead.
    fn unsent_ms(&self, now_ms: i64) -> i64 {
        self.unsent.map_or(0, |entry| (now_ms - entry.ms.cast_signed()).max(0))
    }

    /// For how long the oldest mark has been waiting that the consumer has not reached.
    fn ahead_ms(&mut self, progress: Position, now: Instant) -> i64 {
        let newest = self.ahead.back().map_or(progress, |(mark, _)| *mark);
        if self.mark > newest && self.ahead.len() < MARKS {
            self.ahead.push_back((self.mark, now));
        }
        while self.ahead.front().is_some_and(|(mark, _)| *mark <= progress) {
            self.ahead.pop_front();
        }
        let oldest = self.ahead.front().map(|(_, seen)| now.saturating_duration_since(*seen));
        oldest.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }
}

#[expect(clippy::cast_precision_loss, reason = "ages are far below 2^52 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "journals are far shorter than 2^52 entries")]
fn number(entries: i64) -> f64 {
    entries as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Position {
        Position { epoch: 1, entry: EntryId { ms, seq: 0 } }
    }

    #[test]
    fn what_was_not_sent_grows_older_until_kafka_has_it() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.unsent_ms(5_000), 0);
        lateness.unsent = Some(EntryId { ms: 2_000, seq: 7 });
        assert_eq!(lateness.unsent_ms(5_000), 3_000);
        assert_eq!(lateness.unsent_ms(1_000), 0, "the clock of Redis is ahead");
    }

    #[test]
    fn the_consumer_is_as_late_as_the_oldest_mark_that_it_has_not_reached() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut lateness = Lateness { mark: at(10), ..Lateness::default() };
        assert_eq!(lateness.ahead_ms(at(10), begin), 0);
        lateness.mark = at(20);
        assert_eq!(lateness.ahead_ms(at(10), begin), 0);
        lateness.mark = at(30);
        assert_eq!(lateness.ahead_ms(at(10), begin + second), 1_000);
        assert_eq!(lateness.ahead_ms(at(20), begin + 3 * second), 2_000);
        assert_eq!(lateness.ahead_ms(at(30), begin + 4 * second), 0);
    }

    #[test]
    fn a_consumer_that_stands_still_takes_no_memory_without_bound() {
        let (begin, mut lateness) = (Instant::now(), Lateness::default());
        for second in 1..2_000 {
            lateness.mark = at(second);
            let age_ms = lateness.ahead_ms(Position::default(), begin + Duration::from_secs(second));
            assert_eq!(age_ms, i64::try_from(second - 1).unwrap() * 1_000);
        }
        assert_eq!(lateness.ahead.len(), MARKS);
    }
}
