//! How many calls may be made now: a bucket that fills at a rate. After an outage the rate is low, and doubles every second: whoever has
//! just come back is not met by everything that has waited for him. Pure.

use std::time::Instant;

/// Calls a second while the provider is away, and in the first moment after it.
const SLOWEST: f64 = 50.0;
/// For how long the bucket holds what nobody uses, in seconds.
const HOLDS_SECONDS: f64 = 0.1;

/// The bucket.
pub(super) struct Pace {
    /// Calls a second, at most.
    most: f64,
    /// Calls a second now.
    rate: f64,
    calls: f64,
    at: Instant,
}

impl Pace {
    /// A full one, at full rate.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        let most = f64::from(most);
        Self { most, rate: most, calls: most * HOLDS_SECONDS, at: now }
    }

    /// How many calls may be made now. `is_well`: whether the provider answers.
    pub(super) fn room(&mut self, now: Instant, is_well: bool) -> usize {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.rate = if is_well { (self.rate * seconds.exp2()).min(self.most) } else { SLOWEST.min(self.most) };
        self.calls = (self.calls + self.rate * seconds).min((self.rate * HOLDS_SECONDS).max(1.0));
        // Never below zero, and far below what would be cut.
        self.calls as usize
    }

    /// So many calls are made.
    pub(super) fn used(&mut self, calls: usize) {
        self.calls -= calls as f64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes all calls that it may, every ten milliseconds; how many in each of these seconds.
    fn calls(pace: &mut Pace, from: Instant, seconds: usize, is_well: bool) -> Vec<usize> {
        let tick = |nth: usize| {
            let room = pace.room(from + Duration::from_millis(10 * (nth as u64 + 1)), is_well);
            pace.used(room);
            room
        };
        let ticks: Vec<usize> = (0..seconds * 100).map(tick).collect();
        ticks.chunks(100).map(|second| second.iter().sum()).collect()
    }

    #[test]
    fn a_well_provider_is_called_at_the_full_rate_and_no_faster() {
        let now = Instant::now();
        let mut pace = Pace::new(1_000, now);
        for second in calls(&mut pace, now, 3, true) {
            assert!((950..=1_100).contains(&second), "{second}");
        }
    }

    #[test]
    fn after_an_outage_the_rate_doubles_every_second_up_to_the_full_one() {
        let now = Instant::now();
        let mut pace = Pace::new(400, now);
        for second in calls(&mut pace, now, 2, false) {
            assert!(second <= 60, "{second}");
        }
        let well = calls(&mut pace, now + Duration::from_secs(2), 5, true);
        assert!(well[0] <= 110 && well[1] <= 210 && well[1] > well[0] && well[4] >= 390, "{well:?}");
        assert!(well.iter().all(|second| *second <= 410), "{well:?}");
    }
}
