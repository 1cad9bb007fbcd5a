//! Lines of a log, so many a second: when a dependency is away every request meets the same fault, and the log is the
//! last thing that should fall over as well.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets so many lines pass in a second, and counts the others.
pub(super) struct Throttle {
    per_second: u32,
    state: Mutex<State>,
}

struct State {
    second: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl Throttle {
    pub(super) const fn new(per_second: u32) -> Self {
        Self { per_second, state: Mutex::new(State { second: None, passed: 0, suppressed: 0 }) }
    }

    /// Whether a line at `now` is written; if so, how many were not since the last that was.
    pub(super) fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.second.is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1)) {
            state.second = Some(now);
            state.passed = 0;
        }
        if state.passed == self.per_second {
            state.suppressed += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_and_a_number() {
        let throttle = Throttle::new(1);
        let start = Instant::now();
        assert_eq!(throttle.pass(start), Some(0));
        for ms in 1..=99 {
            assert_eq!(throttle.pass(start + Duration::from_millis(ms)), None);
        }
        assert_eq!(throttle.pass(start + Duration::from_secs(1)), Some(99));
        assert_eq!(throttle.pass(start + Duration::from_millis(1500)), None);
        assert_eq!(throttle.pass(start + Duration::from_secs(60)), Some(1));
        assert_eq!(throttle.pass(start + Duration::from_secs(70)), Some(0));
    }
}
