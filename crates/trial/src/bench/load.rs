//! Load: callers that wait for each answer before they call again, or calls that come whether or not others are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The longest wait that is told apart, in microseconds: a minute.
const LONGEST_US: u64 = 60_000_000;
/// How exactly waits are kept, in significant digits.
const DIGITS: u8 = 3;
/// How often a paced load sends what has become due.
const TICK: Duration = Duration::from_millis(1);
/// Calls of a paced load without an answer, at most: beyond it the other side does not keep up, and there is nothing to tell.
const UNANSWERED_MOST: usize = 10_000;

/// Somebody who calls again and again.
pub trait Caller: Send + 'static {
    /// One call, to its answer. An answer that was not expected is an error.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// When a load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// After this time; calls that were begun are answered.
    Time(Duration),
    /// After so many calls.
    Calls(u64),
}

/// What came of a load.
#[derive(Debug, Clone)]
pub struct Calls {
    /// Calls that were answered as expected.
    pub number: u64,
    /// From the first call to the last answer.
    pub took: Duration,
    /// What each waited, in microseconds.
    pub waits: Histogram<u64>,
}

impl Enough {
    /// Whether one more call may begin.
    fn lets_in(self, begun: Instant, places: &AtomicU64) -> bool {
        match self {
            Self::Time(time) => begun.elapsed() < time,
            Self::Calls(number) => places.fetch_add(1, Ordering::Relaxed) < number,
        }
    }
}

impl Calls {
    fn none() -> anyhow::Result<Self> {
        let waits = Histogram::new_with_max(LONGEST_US, DIGITS).context("a histogram of waits")?;
        Ok(Self { number: 0, took: Duration::ZERO, waits })
    }

    fn answered(&mut self, wait: Duration) {
        self.number += 1;
        self.waits.saturating_record(u64::try_from(wait.as_micros()).unwrap_or(LONGEST_US));
    }
}

/// A closed door: each caller waits for his answer before he calls again. As many calls are in flight as there are callers.
///
/// # Errors
/// That of the first call that failed.
pub async fn closed<C: Caller>(callers: Vec<C>, enough: Enough) -> anyhow::Result<Calls> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    let places = Arc::new(AtomicU64::new(0));
    for mut caller in callers {
        let places = places.clone();
        running.spawn(async move {
            let mut calls = Calls::none()?;
            while enough.lets_in(begun, &places) {
                let called = Instant::now();
                caller.call().await?;
                calls.answered(called.elapsed());
            }
            anyhow::Ok(calls)
        });
    }
    let mut all = Calls::none()?;
    while let Some(ended) = running.join_next().await {
        let calls = ended.context("a caller has ended")??;
        all.number += calls.number;
        all.waits.add(&calls.waits).context("waits")?;
    }
    all.took = begun.elapsed();
    Ok(all)
}

/// An open door: so many calls a second for so long, by each caller in turn, whether or not the ones before are answered. A
/// wait begins when the call was due, so that whoever is late cannot hide it.
///
/// # Errors
/// That of the first call that failed, or more than 10,000 calls are without an answer.
pub async fn paced<C: Caller + Clone>(callers: &[C], rate: f64, time: Duration) -> anyhow::Result<Calls> {
    let begun = Instant::now();
    let mut all = Calls::none()?;
    let mut running = JoinSet::new();
    let mut turns = callers.iter().cycle();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sent = 0.0;
    while begun.elapsed() < time {
        tick.tick().await;
        while sent < begun.elapsed().as_secs_f64() * rate {
            let mut caller = turns.next().context("nobody calls")?.clone();
            let due = begun + Duration::from_secs_f64(sent / rate);
            running.spawn(async move { caller.call().await.map(|()| due.elapsed()) });
            sent += 1.0;
        }
        while let Some(ended) = running.try_join_next() {
            all.answered(ended.context("a call has ended")??);
        }
        ensure!(running.len() < UNANSWERED_MOST, "{} of {sent} calls are without an answer", running.len());
    }
    while let Some(ended) = running.join_next().await {
        all.answered(ended.context("a call has ended")??);
    }
    all.took = begun.elapsed();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Sleeper(Duration);

    impl Caller for Sleeper {
        async fn call(&mut self) -> anyhow::Result<()> {
            tokio::time::sleep(self.0).await;
            ensure!(self.0 < Duration::from_secs(1), "slept too long");
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_door_calls_as_often_as_it_is_answered() {
        let callers = vec![Sleeper(Duration::from_millis(1)); 3];
        let calls = closed(callers.clone(), Enough::Time(Duration::from_millis(20))).await.unwrap();
        assert!(calls.number >= 3 && calls.waits.len() == calls.number, "{calls:?}");
        assert_eq!(closed(callers, Enough::Calls(10)).await.unwrap().number, 10);
        assert!(closed(vec![Sleeper(Duration::from_secs(1))], Enough::Calls(1)).await.is_err());
    }

    #[tokio::test]
    async fn an_open_door_calls_at_its_rate_whatever_is_answered() {
        let calls = paced(&[Sleeper(Duration::from_millis(150))], 1_000.0, Duration::from_millis(100)).await.unwrap();
        // One who waits for his answer would have called once.
        let most = 1.0 + calls.took.as_secs_f64() * 1_000.0;
        assert!(calls.number >= 2 && calls.number as f64 <= most, "{calls:?}");
        assert!(calls.waits.min() >= 149_000, "{calls:?}");
    }
}
