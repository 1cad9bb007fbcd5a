//! How long and how often one claim is repeated: bounded in both, and jittered, so that a crowd that was turned away
//! together does not come back together.

use std::time::{Duration, Instant};

use super::Args;

/// The bounds of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Of one attempt.
    pub(crate) timeout: Duration,
    retries: u32,
    patience: Duration,
}

/// Where one call stands.
#[derive(Debug)]
pub(crate) struct Wait {
    patience: Patience,
    begun: Instant,
    attempt: u32,
}

/// The longest first pause; each further one may be twice as long.
const FIRST: Duration = Duration::from_millis(20);
/// The longest pause without a hint.
const LONGEST: Duration = Duration::from_secs(1);

impl Patience {
    pub(super) fn of(args: &Args) -> Self {
        Self::new(args.timeout, args.retries, args.patience)
    }

    /// How long one attempt may take, how often it is repeated, and how long that goes on.
    pub(crate) fn new(timeout: Duration, retries: u32, patience: Duration) -> Self {
        Self { timeout, retries, patience }
    }

    pub(crate) fn begin(self) -> Wait {
        Wait { patience: self, begun: Instant::now(), attempt: 1 }
    }
}

impl Wait {
    /// The number of the attempt to make: 1, 2, 3, ...
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long to pause before the next attempt, or nothing when there is none. A hint of the server (`RetryInfo`) is
    /// the least; without one the pause is drawn from zero to a bound that doubles.
    pub(crate) fn next(&mut self, hint: Option<Duration>) -> Option<Duration> {
        if self.attempt > self.patience.retries {
            return None;
        }
        let most = FIRST.saturating_mul(1 << (self.attempt - 1).min(16)).min(LONGEST);
        let pause = hint.unwrap_or_default() + most.mul_f64(rand::random());
        self.attempt += 1;
        (self.begun.elapsed() + pause < self.patience.patience).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retries: u32, patience: Duration) -> Wait {
        Patience { timeout: Duration::from_secs(2), retries, patience }.begin()
    }

    #[test]
    fn ends_after_so_many_retries() {
        let mut wait = wait(3, Duration::from_secs(60));
        let pauses: Vec<_> = std::iter::from_fn(|| wait.next(None)).collect();
        assert_eq!(pauses.len(), 3);
        assert!(pauses[0] <= FIRST && pauses[1] <= FIRST * 2 && pauses[2] <= FIRST * 4, "{pauses:?}");
        assert_eq!(wait.attempt(), 4);
    }

    #[test]
    fn a_hint_is_the_least_and_the_bound_in_time_holds_for_hints_too() {
        let hint = Duration::from_secs(1);
        let pause = wait(3, Duration::from_secs(60)).next(Some(hint)).unwrap();
        assert!(pause >= hint && pause <= hint + FIRST);
        assert_eq!(wait(3, Duration::from_millis(500)).next(Some(hint)), None);
    }

    #[test]
    fn pauses_stop_growing() {
        let mut wait = wait(1000, Duration::from_secs(1000));
        assert!(std::iter::from_fn(|| wait.next(None)).all(|pause| pause <= LONGEST));
    }
}
