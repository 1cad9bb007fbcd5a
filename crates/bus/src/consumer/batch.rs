//! One batch: inbox, effects, progress and what must be parked, in one transaction. A batch with a bad event is divided
//! until the bad one stands alone.

use std::collections::{HashMap, HashSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kit::postgres::{begin, commit};

use super::received::Received;
use super::{Effects, Failed, Reader};
use crate::event::Event;
use crate::inbox;
use crate::journal::{Entry, Position, Tag};
use crate::outbox::Told;
use crate::postgres::journal;
use crate::postgres::parked::{self, Parked};

/// How often an event that stands alone is tried before it is parked.
const ATTEMPTS: i32 = 3;
/// Parked events of one consumer, at most; beyond it the consumer stops and says so.
const PARKED: i64 = 10_000;

impl<E: Effects> Reader<E> {
    /// Applies the batch, or its halves in order where one of its events is bad.
    pub(super) fn divide<'a>(&'a self, batch: &'a [Received]) -> BoxFuture<'a, Result<(), Failed>> {
        async move {
            match self.apply(batch, None).await {
                Err(failed) if failed.is_poison() && batch.len() > 1 => {
                    let (earlier, later) = batch.split_at(batch.len() / 2);
                    self.divide(earlier).await?;
                    self.divide(later).await
                }
                Err(failed) if failed.is_poison() => self.insist(batch, failed).await,
                done => done,
            }
        }
        .boxed()
    }

    /// One event that fails: tried a few times more, then parked with its cause.
    async fn insist(&self, alone: &[Received], mut failed: Failed) -> Result<(), Failed> {
        for _ in 1..ATTEMPTS {
            match self.apply(alone, None).await {
                Err(again) if again.is_poison() => failed = again,
                done => return done,
            }
        }
        let cause = format!("{:#}", anyhow::Error::new(failed));
        self.apply(alone, Some(&cause)).await
    }

    /// One transaction. With a `cause`, the events are parked for it.
    async fn apply(&self, batch: &[Received], cause: Option<&str>) -> Result<(), Failed> {
        let consumer = &self.consumer;
        let mut tx = begin(&consumer.pool).await?;
        let mut keys: Vec<String> = batch.iter().map(Received::parking_key).collect();
        keys.sort();
        keys.dedup();
        let mut waiting = parked::keys(&mut tx, &consumer.name, &keys).await?;
        let seen = self.seen(&mut tx, batch, &waiting).await?;

        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for received in batch {
            let why = match (&received.event, cause) {
                // What has taken effect is not parked when it comes again, whatever came behind it.
                (Ok(event), _) if seen.contains(&event.id) => {
                    good.push(event.clone());
                    continue;
                }
                (_, Some(cause)) => cause.to_owned(),
                (Err(unreadable), None) => unreadable.clone(),
                (Ok(event), None) => match self.out_of_span(event) {
                    Some(why) => why,
                    None if waiting.contains(&received.parking_key()) => {
                        "an earlier event of the same key is parked".to_owned()
                    }
                    None => {
                        good.push(event.clone());
                        continue;
                    }
                },
            };
            // Later ones of this batch wait behind it, too.
            waiting.insert(received.parking_key());
            bad.push((received, why));
        }
        let number = good.len();
        let first = inbox::first(inbox::arrive(&mut tx, &consumer.name, good).await?);
        let told = if first.is_empty() { Told::nothing() } else { consumer.effects.apply(&mut tx, &first).await? };
        for (received, why) in &bad {
            self.park(&mut tx, received, why).await?;
        }
        journal::advance(&mut tx, &progress(consumer.service, batch)).await?;
        commit(tx).await?;
        told.ring();
        count(&consumer.name, first.len(), number - first.len(), bad.len());
        Ok(())
    }

    /// Of the events whose key has something parked, those that have taken effect.
    async fn seen(
        &self,
        tx: &mut kit::postgres::Tx,
        batch: &[Received],
        waiting: &HashSet<String>,
    ) -> Result<HashSet<String>, Failed> {
        if waiting.is_empty() {
            return Ok(HashSet::new());
        }
        let keyed = batch.iter().filter(|received| waiting.contains(&received.parking_key()));
        let (ids, times): (Vec<_>, Vec<_>) = keyed
            .filter_map(|received| received.event.as_ref().ok())
            .map(|event| (event.id.clone(), event.time))
            .unzip();
        Ok(crate::postgres::inbox::seen(tx, &self.consumer.name, &ids, &times).await?)
    }

    async fn park(&self, tx: &mut kit::postgres::Tx, received: &Received, cause: &str) -> Result<(), Failed> {
        let name = &self.consumer.name;
        let parked = parked::count(tx, name).await?;
        if parked >= PARKED {
            return Err(Failed::TooManyParked(parked));
        }
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
            attempts: ATTEMPTS,
        };
        if parked::park(tx, name, &event).await? {
            tracing::error!(consumer = name, key = event.parking_key, cause, "an event is parked");
        }
        Ok(())
    }

    /// The inbox has partitions for a span of time; outside it nothing could be recognised when it comes again.
    fn out_of_span(&self, event: &Event) -> Option<String> {
        let (from, to) = self.span();
        if event.time >= to {
            Some(format!("TIME_AHEAD: {} is later than the inbox reaches", event.time))
        } else if event.time < from {
            Some(format!("TOO_OLD: {} is earlier than the inbox reaches", event.time))
        } else {
            None
        }
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

fn count(consumer: &str, first: usize, again: usize, parked: usize) {
    for (outcome, number) in [("first", first), ("again", again), ("parked", parked)] {
        let labels = [("consumer", consumer.to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!("booster_consumed_events_total", &labels).increment(number as u64);
    }
}
