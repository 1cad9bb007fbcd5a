//! From which id on a look reads.
//!
//! The entry of a row that was sent leaves the index only when no snapshot is older than that: while somebody reads in one
//! transaction for long, a look from the beginning passes everything that was sent meanwhile. So a look begins where everything was
//! settled: every transaction that may hold a lower id has ended, and a look since then has found nothing lower.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::postgres::outbox::Given;

/// How long after an id was given its transaction is surely known to PostgreSQL as one.
const KNOWN: Duration = Duration::from_secs(5);
/// How often a look begins at the beginning, at most, whatever is believed; and how much of the time such looks may take: a tenth.
const WHOLE_EVERY: Duration = Duration::from_secs(10);
const WHOLE_SHARE: u32 = 10;

/// Where looks begin.
#[derive(Default)]
pub(super) struct Floor {
    id: i64,
    /// How far ids were given, and when that was asked; the oldest first.
    given: VecDeque<(Instant, Given)>,
    /// When the next look begins at the beginning.
    whole: Option<Instant>,
}

impl Floor {
    /// Where the look begins that is made now.
    pub(super) fn next(&self, now: Instant) -> i64 {
        if self.whole.is_none_or(|whole| whole <= now) { 0 } else { self.id }
    }

    /// Something else is looked at from now on: the next look begins at the beginning.
    pub(super) fn forget(&mut self) {
        self.whole = None;
    }

    /// How far ids were given until now.
    pub(super) fn given(&mut self, now: Instant, given: Given) {
        self.given.push_back((now, given));
    }

    /// A look has been made: from there, so long, and this was the first row that it found.
    pub(super) fn looked(&mut self, from: i64, begun: Instant, now: Instant, first: Option<i64>) {
        if from == 0 {
            self.whole = Some(now + WHOLE_EVERY.max((now - begun) * WHOLE_SHARE));
        }
        // As it was known before the look began.
        let oldest = self.given.back().map_or(0, |(_, given)| given.oldest_transaction);
        let settled =
            |(asked, given): &mut (Instant, Given)| begun - *asked > KNOWN && given.next_transaction <= oldest;
        while let Some((_, given)) = self.given.pop_front_if(settled) {
            self.id = given.id;
        }
        self.id = self.id.min(first.unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(id: i64, oldest_transaction: i64, next_transaction: i64) -> Given {
        Given { id, next_transaction, oldest_transaction }
    }

    #[test]
    fn a_look_begins_where_everything_was_settled_and_now_and_then_at_the_beginning() {
        let (mut floor, start) = (Floor::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(floor.next(at(0)), 0);
        floor.given(at(0), given(100, 5, 5));
        floor.looked(0, at(0), at(0), None);
        assert_eq!(floor.next(at(1)), 0, "nothing is settled");
        floor.given(at(4), given(300, 7, 9));
        floor.looked(0, at(6), at(6), Some(250));
        assert_eq!(floor.next(at(7)), 100);
        floor.looked(100, at(10), at(10), Some(250));
        assert_eq!(floor.next(at(11)), 100, "a transaction that may hold a lower id has not ended");
        floor.given(at(11), given(400, 9, 12));
        floor.looked(100, at(12), at(12), Some(250));
        assert_eq!(floor.next(at(13)), 250, "a row waits there");
        assert_eq!(floor.next(at(16)), 0, "nothing is believed for ever");
        floor.looked(0, at(16), at(16), None);
        floor.forget();
        assert_eq!(floor.next(at(17)), 0, "another part may have older rows");
    }
}
