//! Cases that are measured in turns, round after round, so that what disturbs one of them disturbs all.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::cpu::Spent;
use super::figure::{Figure, median};
use super::load::Calls;

/// One case in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was done, and how long that took.
    pub calls: Calls,
    /// CPU seconds meanwhile.
    pub spent: Spent,
}

impl Sample {
    /// Calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.calls.number, self.calls.took)
    }
}

/// The samples of all cases, one for each round.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    samples: BTreeMap<String, Vec<Sample>>,
}

impl Rounds {
    /// The cases in the order of a round: each round begins with another one, so that none is always first.
    pub fn order<T>(cases: &[T], round: usize) -> impl Iterator<Item = &T> {
        let (before, after) = cases.split_at(round % cases.len().max(1));
        after.iter().chain(before)
    }

    /// Adds what a case brought in the present round.
    pub fn note(&mut self, case: &str, sample: Sample) {
        self.samples.entry(case.to_owned()).or_default().push(sample);
    }

    /// The rate of one case divided by that of another, round by round.
    #[must_use]
    pub fn ratios(&self, case: &str, by: &str) -> Vec<f64> {
        let pairs = self.of(case).iter().zip(self.of(by));
        pairs.map(|(case, by)| case.rate() / by.rate()).collect()
    }

    /// The same as a figure.
    #[must_use]
    pub fn figure(&self, name: &str, case: &str, by: &str) -> Figure {
        Figure::of(name, &format!("{case}, calls/s / {by}, calls/s"), &self.ratios(case, by))
    }

    /// The median rate of a case, in calls a second; 0 where it was never measured.
    #[must_use]
    pub fn rate(&self, case: &str) -> f64 {
        let mut rates: Vec<f64> = self.of(case).iter().map(Sample::rate).collect();
        rates.sort_by(f64::total_cmp);
        median(&rates)
    }

    /// The wait that `share` (0 to 1) of all calls of a case did not exceed, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, case: &str, share: f64) -> f64 {
        let mut samples = self.of(case).iter();
        let Some(first) = samples.next() else { return 0.0 };
        let mut waits = first.calls.waits.clone();
        for sample in samples {
            // All have the same bounds.
            let _ = waits.add(&sample.calls.waits);
        }
        quantile_ms(&waits, share)
    }

    /// CPU microseconds of each process for one call of a case, and of everybody else on the machine.
    #[must_use]
    pub fn cpu_us(&self, case: &str) -> Spent {
        let mut spent = Spent::default();
        let mut calls = 0;
        for sample in self.of(case) {
            spent.extend(&sample.spent);
            calls += sample.calls.number;
        }
        spent.times(1e6 / whole(calls.max(1)))
    }

    fn of(&self, case: &str) -> &[Sample] {
        self.samples.get(case).map_or(&[], Vec::as_slice)
    }
}

/// The wait that `share` (0 to 1) of the calls did not exceed, in milliseconds.
#[must_use]
pub fn quantile_ms(waits: &Histogram<u64>, share: f64) -> f64 {
    whole(waits.value_at_quantile(share)) / 1e3
}

/// How many a second.
#[must_use]
pub fn per_second(number: u64, took: Duration) -> f64 {
    whole(number) / took.as_secs_f64()
}

/// A count as a floating number.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn whole(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64, seconds: u64) -> Sample {
        let mut waits = Histogram::new_with_max(1_000_000, 3).unwrap();
        waits.record_n(2_000, number).unwrap();
        let spent = Spent { by_name: vec![("us", 0.5)], others: 0.0 };
        Sample { calls: Calls { number, took: Duration::from_secs(seconds), waits }, spent }
    }

    #[test]
    fn a_ratio_is_made_of_the_same_round() {
        let mut rounds = Rounds::default();
        // Between the rounds the machine became twice as slow: the ratio does not see it.
        for (fast, slow) in [(1_000, 500), (500, 250)] {
            rounds.note("fast", sample(fast, 1));
            rounds.note("slow", sample(slow, 1));
        }
        let figure = rounds.figure("bench/slow", "slow", "fast");
        assert_eq!((figure.ratio, figure.low, figure.high, figure.rounds), (0.5, 0.5, 0.5, 2));
        assert_eq!(figure.unit, "slow, calls/s / fast, calls/s");
        assert_eq!(rounds.rate("fast"), 750.0);
        assert!((rounds.wait_ms("fast", 0.99) - 2.0).abs() < 0.01);
        assert!((rounds.cpu_us("fast").of("us") - 1e6 / 1_500.0).abs() < 0.01);
        assert_eq!(rounds.rate("never measured"), 0.0);
    }

    #[test]
    fn no_case_is_always_first() {
        let order = |round| Rounds::order(&["a", "b", "c"], round).copied().collect::<String>();
        assert_eq!([order(0), order(1), order(2), order(3)], ["abc", "bca", "cab", "abc"]);
    }
}
