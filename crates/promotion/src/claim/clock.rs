//! The time of Redis, as this process knows it between two answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bus::journal::Tag;
use tokio::time::Instant;

/// How far the wall clock of this process may be from the one of Redis, in milliseconds.
const APART_MOST_MS: i64 = 2_000;
/// Stands for an offset that is not known yet.
const UNKNOWN: i64 = i64::MIN;

/// How far the clock of Redis is ahead of ours, for each tag: each may live on another node. Ours never jumps.
#[derive(Clone)]
pub(super) struct Clock {
    began: Instant,
    tags: Arc<[Offset]>,
}

struct Offset {
    ahead_ms: AtomicI64,
    /// Whether the wall clocks are too far apart.
    is_off: AtomicBool,
}

impl Default for Clock {
    fn default() -> Self {
        let offset = |_| Offset { ahead_ms: AtomicI64::new(UNKNOWN), is_off: AtomicBool::new(false) };
        Self { began: Instant::now(), tags: Tag::all().map(offset).collect() }
    }
}

impl Clock {
    /// The time of Redis in milliseconds, if it has ever answered for this tag, and its clock is near ours.
    pub(super) fn now_ms(&self, tag: Tag) -> Option<i64> {
        let offset = self.offset(tag);
        let ahead_ms = offset.ahead_ms.load(Ordering::Relaxed);
        (ahead_ms != UNKNOWN && !offset.is_off.load(Ordering::Relaxed)).then(|| self.own_ms() + ahead_ms)
    }

    /// Redis has said its time in answer to a call that was sent at `sent_ms`: somewhere between then and now. False where
    /// its clock and the wall clock of this process are too far apart: one of them is wrong, and a deal might open early.
    pub(super) fn observe(&self, tag: Tag, redis_ms: i64, sent_ms: i64) -> bool {
        let (own_ms, wall_ms) = (self.own_ms(), kit::clock::to_millis(kit::clock::now()));
        let midpoint_ms = i64::midpoint(sent_ms, own_ms);
        let offset = self.offset(tag);
        // As if it had been said in this very moment, which is the earliest that it can be there now: no batch goes out with more
        // time than it should have.
        offset.ahead_ms.store(redis_ms - own_ms, Ordering::Relaxed);
        let apart_ms = redis_ms - (wall_ms - (own_ms - midpoint_ms));
        let is_off = is_off(apart_ms, own_ms - sent_ms);
        if offset.is_off.swap(is_off, Ordering::Relaxed) != is_off {
            if is_off {
                tracing::error!(%tag, apart_ms, "the clocks of Redis and of this process are too far apart: nobody new wins");
            } else {
                tracing::info!(%tag, apart_ms, "the clocks of Redis and of this process agree again");
            }
        }
        metrics::gauge!("booster_redis_clock_ahead_seconds", "tag" => tag.to_string()).set(seconds(apart_ms));
        !is_off
    }

    /// Milliseconds since this clock was made.
    pub(super) fn own_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn offset(&self, tag: Tag) -> &Offset {
        &self.tags[usize::from(tag.number())]
    }
}

/// Whether clocks are too far apart, seen by a call that took so long: half of that may be the way.
fn is_off(apart_ms: i64, took_ms: i64) -> bool {
    apart_ms.saturating_abs() - took_ms / 2 > APART_MOST_MS
}

#[expect(clippy::cast_precision_loss, reason = "an offset of clocks is far below 2^52 milliseconds")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_known_only_where_the_clocks_agree() {
        let (clock, tag) = (Clock::default(), Tag::of("lunch"));
        assert_eq!(clock.now_ms(tag), None);
        let wall_ms = kit::clock::to_millis(kit::clock::now());
        assert!(clock.observe(tag, wall_ms, clock.own_ms()));
        assert!(clock.now_ms(tag).is_some_and(|now_ms| (now_ms - wall_ms).abs() < 1_000));
        for apart_ms in [-600_000, 600_000] {
            assert!(!clock.observe(tag, wall_ms + apart_ms, clock.own_ms()));
            assert_eq!(clock.now_ms(tag), None);
        }
        assert!(clock.observe(tag, kit::clock::to_millis(kit::clock::now()), clock.own_ms()));
        assert!(clock.now_ms(tag).is_some());
    }

    #[test]
    fn a_slow_answer_is_not_a_wrong_clock() {
        assert!(!is_off(2_400, 1_000));
        assert!(is_off(2_600, 1_000));
    }
}
