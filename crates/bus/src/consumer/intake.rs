//! The way of records into PostgreSQL, whoever reads them: inbox, effects, progress and what must be parked, in one transaction.
//! A batch with a bad event is divided until the bad one stands alone.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kit::postgres::{Failure, Pool, Tx, begin, commit};

use super::Consumer;
use super::fate::{Fate, Known, Turn};
use super::received::Received;
use crate::failed::Failed;
use crate::inbox;
use crate::journal::{Entry, Position, Tag};
use crate::outbox::Told;
use crate::postgres::inbox::Reach;
use crate::postgres::journal;
use crate::postgres::parked::{self, Parked};

/// How often an event that stands alone and is refused is tried again before it is parked.
const INSISTS: usize = 2;
/// The first pause before that; it doubles, with jitter. Others wait meanwhile.
const INSIST: Duration = Duration::from_millis(20);
/// Parked events of one consumer, at most; beyond it the consumer stops and says so.
const PARKED: i64 = 10_000;

/// What became of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Here for the first time: they took effect.
    pub first: u64,
    /// They have taken effect before, or an operator has discarded them.
    pub again: u64,
    /// They are parked, now or since before.
    pub parked: u64,
    /// Older than the inbox reaches: nobody knows whether they took effect, and they were left alone. Only of a replay.
    pub skipped: u64,
    /// Of a type that does not concern this consumer.
    pub passed: u64,
}

impl AddAssign for Taken {
    fn add_assign(&mut self, other: Self) {
        self.first += other.first;
        self.again += other.again;
        self.parked += other.parked;
        self.skipped += other.skipped;
        self.passed += other.passed;
    }
}

/// Where one consumer takes records to.
pub(super) struct Intake {
    consumer: Consumer,
    pool: Pool,
    turn: Turn,
    /// What the inbox reached when its partitions were last made. A replay asks anew in each transaction: to it, a partition that
    /// went meanwhile makes the difference between leaving an event alone and parking it.
    reach: Mutex<Option<Reach>>,
}

impl Intake {
    /// For what comes now.
    pub(super) fn live(consumer: Consumer, pool: Pool) -> Self {
        Self { consumer, pool, turn: Turn::Live, reach: Mutex::default() }
    }

    /// For what comes again.
    pub(super) fn replay(consumer: Consumer, pool: Pool) -> Self {
        Self { turn: Turn::Replay, ..Self::live(consumer, pool) }
    }

    /// The name of the consumer.
    pub(super) fn name(&self) -> &str {
        &self.consumer.name
    }

    /// Without partitions nothing could be recognised when it comes again: to be called before the first batch, and now and then.
    pub(super) async fn make_partitions(&self) -> Result<(), Failure> {
        if self.turn == Turn::Live {
            crate::postgres::inbox::drop_partitions(&self.pool).await?;
        }
        let reach = crate::postgres::inbox::make_partitions(&self.pool).await?;
        if self.turn == Turn::Live {
            *self.reach.lock().unwrap_or_else(PoisonError::into_inner) = Some(reach);
        }
        Ok(())
    }

    /// What the inbox reaches is asked anew in each transaction from now on, until partitions are made again.
    pub(super) fn forget_reach(&self) {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes the batch, or its halves in order where one of its events is bad.
    pub(super) fn take<'a>(&'a self, batch: &'a [Received]) -> BoxFuture<'a, Result<Taken, Failed>> {
        async move {
            match self.apply(batch, None).await {
                Err(failed) if failed.is_poison() && batch.len() > 1 => {
                    let (earlier, later) = batch.split_at(batch.len() / 2);
                    let mut taken = self.take(earlier).await?;
                    taken += self.take(later).await?;
                    Ok(taken)
                }
                Err(failed) if failed.is_poison() => self.insist(batch, failed).await,
                done => done,
            }
        }
        .boxed()
    }

    /// One event that fails: tried a few times more, then parked with its cause. One that cannot be read is never anything else.
    async fn insist(&self, alone: &[Received], mut failed: Failed) -> Result<Taken, Failed> {
        let pauses = ExponentialBuilder::default().with_min_delay(INSIST).with_jitter().with_max_times(INSISTS).build();
        let mut attempts = 1;
        for pause in pauses {
            if matches!(failed, Failed::Unreadable(_)) {
                break;
            }
            tokio::time::sleep(pause).await;
            attempts += 1;
            match self.apply(alone, None).await {
                Err(again) if again.is_poison() => failed = again,
                done => return done,
            }
        }
        let cause = format!("{:#}", anyhow::Error::new(failed));
        self.apply(alone, Some((&cause, attempts))).await
    }

    /// One transaction. With a `cause`, the events are parked for it, after so many attempts.
    async fn apply(&self, batch: &[Received], cause: Option<(&str, i32)>) -> Result<Taken, Failed> {
        let consumer = &self.consumer;
        let (mut good, mut bad, mut taken) = (Vec::new(), Vec::new(), Taken::default());
        let positions = if self.turn == Turn::Live { progress(consumer.service, batch) } else { HashMap::new() };
        if positions.is_empty() && !batch.iter().any(|received| self.concerns(received)) {
            taken.passed = batch.len() as u64;
            return Ok(taken);
        }
        let reach = *self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tx = begin(&self.pool).await?;
        let mut known = Known::ask(&mut tx, &consumer.name, batch, (reach, self.turn), cause.is_some()).await?;
        for received in batch {
            if !self.concerns(received) {
                taken.passed += 1;
                continue;
            }
            match known.fate(received, cause.map(|(cause, _)| cause)) {
                Fate::Arrives(event) => good.push(event),
                Fate::Parked(why) => bad.push((received, why)),
                Fate::Discarded => taken.again += 1,
                Fate::Skipped => taken.skipped += 1,
            }
        }
        let number = good.len();
        let first = inbox::first(inbox::arrive(&mut tx, &consumer.name, good).await?);
        let told = if first.is_empty() { Told::nothing() } else { consumer.effects.apply(&mut tx, &first).await? };
        // What waits behind another, or cannot be read, is not tried again.
        let attempts = cause.map_or(1, |(_, attempts)| attempts);
        for (received, why) in &bad {
            self.park(&mut tx, received, (why, attempts)).await?;
        }
        if !positions.is_empty() {
            journal::advance(&mut tx, &positions).await?;
        }
        commit(tx).await?;
        told.ring();
        taken.first = first.len() as u64;
        taken.again += (number - first.len()) as u64;
        taken.parked = bad.len() as u64;
        count(&consumer.name, taken);
        Ok(taken)
    }

    /// What cannot be read may concern anybody.
    fn concerns(&self, received: &Received) -> bool {
        received.event.as_ref().map_or(true, |event| self.consumer.effects.wants(&event.kind))
    }

    async fn park(&self, tx: &mut Tx, received: &Received, (cause, attempts): (&str, i32)) -> Result<(), Failed> {
        let name = &self.consumer.name;
        // Of two with the same name the first is the one that was read.
        let headers = received.headers.iter().rev();
        let headers: serde_json::Map<_, _> = headers.map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let event = Parked {
            parking_key: received.parking_key(),
            topic: received.topic.clone(),
            partition: received.partition,
            offset: received.offset,
            headers: headers.into(),
            payload: received.payload.to_vec(),
            cause: cause.to_owned(),
            attempts,
        };
        if !parked::park(tx, name, &event).await? {
            return Ok(());
        }
        let others = parked::count(tx, name).await? - 1;
        if others >= PARKED {
            return Err(Failed::TooManyParked(others));
        }
        tracing::error!(consumer = name, key = event.parking_key, cause, "an event is parked");
        Ok(())
    }
}

/// How far the batch brings each journal.
fn progress(service: &str, batch: &[Received]) -> HashMap<Tag, Position> {
    let mut positions = HashMap::new();
    let events = batch.iter().filter_map(|received| received.event.as_ref().ok());
    for (tag, position) in events.filter_map(|event| Entry::origin(service, event)) {
        let highest = positions.entry(tag).or_insert(position);
        *highest = position.max(*highest);
    }
    positions
}

/// What a replay skips, and what does not concern the consumer, is no event that was consumed.
fn count(consumer: &str, taken: Taken) {
    for (outcome, number) in [("first", taken.first), ("again", taken.again), ("parked", taken.parked)] {
        let labels = [("consumer", consumer.to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!("booster_consumed_events_total", &labels).increment(number);
    }
}
