//! When the crowd comes: all at once, or the first of it in waves. A wave is a small rush, so that what is killed while one
//! is on has many claims in its hands, however long the coupons have to last.

use std::time::Duration;

use super::Args;

/// When each call is made, at the earliest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Over how long the first calls are spread.
    spread: Duration,
    /// How many these are.
    first: u32,
}

/// From one wave to the next.
const WAVE_EVERY: Duration = Duration::from_millis(500);

impl Arrival {
    pub(super) fn of(args: &Args) -> Self {
        Self { spread: args.spread(), first: args.stock.min(args.users) }
    }

    /// When call `number` (0, 1, 2, ...) comes, counted from the beginning of the rush.
    pub(super) fn of_call(self, number: usize) -> Duration {
        let share = number as f64 / f64::from(self.first.max(1));
        if share >= 1.0 {
            return self.spread;
        }
        let wave = self.spread.mul_f64(share).as_millis() / WAVE_EVERY.as_millis();
        WAVE_EVERY * u32::try_from(wave).unwrap_or(u32::MAX)
    }

    /// When the first wave comes that does not come before `time`; the time itself, once all have come.
    pub(super) fn wave_from(self, time: Duration) -> Duration {
        if time >= self.spread {
            return time;
        }
        let wave = time.as_millis().div_ceil(WAVE_EVERY.as_millis());
        (WAVE_EVERY * u32::try_from(wave).unwrap_or(u32::MAX)).min(self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: Duration) -> u128 {
        time.as_millis()
    }

    #[test]
    fn as_many_as_there_are_coupons_come_in_waves_and_the_others_with_the_end() {
        let spread = Some(Duration::from_millis(15_300));
        let arrival = Arrival::of(&Args { users: 1000, stock: 100, spread, ..Args::default() });
        let at = [0, 3, 4, 50, 99, 100, 999].map(|number| ms(arrival.of_call(number)));
        assert_eq!(at, [0, 0, 500, 7_500, 15_000, 15_300, 15_300]);
    }

    #[test]
    fn a_wave_is_found_for_every_time() {
        let arrival = Arrival::of(&Args { spread: Some(Duration::from_millis(15_300)), ..Args::default() });
        let at = [0, 1, 500, 501, 15_001, 16_000].map(|time| ms(arrival.wave_from(Duration::from_millis(time))));
        assert_eq!(at, [0, 500, 500, 1_000, 15_300, 16_000]);
    }

    #[test]
    fn all_come_at_once_where_nothing_is_said() {
        let arrival = Arrival::of(&Args::default());
        assert_eq!(arrival.of_call(0), Duration::ZERO);
        assert_eq!(arrival.of_call(20_000), Duration::ZERO);
    }
}
