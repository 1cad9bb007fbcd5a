//! The crowd: all claims in shuffled order, as many at once as the connections carry.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::arrival::Arrival;
use super::backoff::Patience;
use super::call::{Call, claim};
use super::connection::Connections;
use super::journal::Journal;
use super::progress::Progress;
use super::{Args, Rushed};

/// Everybody who claims, and all they share.
#[derive(Clone)]
pub(super) struct Crowd(Arc<Inner>);

struct Inner {
    deal_id: String,
    arrival: Arrival,
    patience: Patience,
    connections: Connections,
    calls: Vec<Call>,
    /// The next call that nobody has taken yet.
    next: AtomicUsize,
    in_flight: usize,
    journal: Journal,
    progress: Progress,
    waits: Mutex<Histogram<u64>>,
}

/// The longest wait that is told apart from longer ones, in microseconds.
const LONGEST_WAIT_US: u64 = 600_000_000;
/// Digits of a wait that are kept.
const WAIT_DIGITS: u8 = 3;

impl Crowd {
    pub(super) fn gather(
        args: &Args,
        deal_id: &str,
        seed: u64,
        connections: Connections,
        journal: Journal,
        progress: Progress,
    ) -> Self {
        let waits = Histogram::new_with_max(LONGEST_WAIT_US, WAIT_DIGITS);
        Self(Arc::new(Inner {
            deal_id: deal_id.to_owned(),
            arrival: Arrival::of(args),
            patience: Patience::of(args),
            connections,
            calls: shuffled_calls(args, seed),
            next: AtomicUsize::new(0),
            in_flight: args.in_flight as usize,
            journal,
            progress,
            waits: Mutex::new(waits.expect("the bounds above are ones that a histogram can have")),
        }))
    }

    /// Every call is made until it has a definite answer, or its bounds are reached.
    pub(super) async fn rush(self) -> anyhow::Result<Rushed> {
        let begun = Instant::now();
        self.0.progress.expect_calls(self.0.calls.len());
        let mut workers = JoinSet::new();
        for home in 0..self.0.connections.len() {
            workers.spawn(self.clone().work(home, begun));
        }
        while let Some(worker) = workers.join_next().await {
            worker.context("a worker of the crowd has failed")?;
        }
        let took = begun.elapsed();
        let inner = &self.0;
        let waits = inner.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Rushed { entries: inner.journal.finish()?, took, waits })
    }

    /// Takes calls from the one queue, so that a slow connection holds up nobody but those on it.
    async fn work(self, home: usize, begun: Instant) {
        let queue = stream::iter(std::iter::from_fn(|| {
            let next = self.0.next.fetch_add(1, Ordering::Relaxed);
            Some((self.0.arrival.of_call(next), self.0.calls.get(next)?))
        }));
        queue.for_each_concurrent(self.0.in_flight, |(comes, call)| self.make(call, comes, home, begun)).await;
    }

    async fn make(&self, call: &Call, comes: Duration, home: usize, begun: Instant) {
        let inner = &self.0;
        if !comes.is_zero() {
            tokio::time::sleep_until((begun + comes).into()).await;
        }
        let started = Instant::now();
        let outcome = claim(inner.claim_of(call, home, begun)).await;
        if outcome.is_definite() {
            record(&inner.waits, started.elapsed());
        }
        inner.progress.answered(&outcome);
    }
}

impl Inner {
    fn claim_of<'a>(&'a self, call: &'a Call, home: usize, begun: Instant) -> super::call::Claim<'a> {
        super::call::Claim {
            deal_id: &self.deal_id,
            call,
            home,
            begun,
            connections: &self.connections,
            patience: self.patience,
            journal: &self.journal,
        }
    }
}

fn record(waits: &Mutex<Histogram<u64>>, wait: Duration) {
    let wait_us = u64::try_from(wait.as_micros()).unwrap_or(LONGEST_WAIT_US);
    waits.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(wait_us);
}

/// One call of each user, and a second one of some; the two may well be in flight together, as with a double click.
fn shuffled_calls(args: &Args, seed: u64) -> Vec<Call> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut calls = Vec::with_capacity(args.users as usize);
    for user in 0..args.users {
        let user = format!("user-{user}");
        if rng.random_bool(args.again) {
            calls.push(Call { user: user.clone(), number: 2 });
        }
        calls.push(Call { user, number: 1 });
    }
    calls.shuffle(&mut rng);
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn everybody_calls_and_some_twice_in_an_order_that_the_seed_decides() {
        let args = Args { users: 1000, again: 0.2, ..Args::default() };
        let calls = shuffled_calls(&args, 7);
        let users: HashSet<_> = calls.iter().map(|call| &call.user).collect();
        assert_eq!(users.len(), 1000);
        assert!((1100..1300).contains(&calls.len()), "{}", calls.len());
        assert_eq!(calls, shuffled_calls(&args, 7));
        assert_ne!(calls, shuffled_calls(&args, 8));
    }
}
