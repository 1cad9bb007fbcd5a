//! Journal -> Kafka: reads each journal in order, sends, waits for the acknowledgement, trims what has taken effect.
//!
//! Whatever was not known to be in PostgreSQL when a relay starts is sent again.

mod tag;
mod lag;
mod gauges;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Turns, dead_letters};
use crate::event::{Event, Unreadable};
use crate::journal::{Entry, Keys, Position, TAGS, Tag};
use crate::lease::Lease;
use crate::producer::Producer;

/// How often the relay asks PostgreSQL how far the consumer has come.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How often Kafka is asked for the lag of the consumer, at most.
const LAG_EVERY: Duration = Duration::from_secs(5);
/// The one lease of a service's journals.
const LEASE: &str = "journal";

/// What a relay needs.
#[derive(Clone)]
pub struct Relay {
    /// The service whose journals these are.
    pub service: &'static str,
    /// The consumer that notes how far they have come.
    pub consumer: &'static str,
    /// Where Kafka is.
    pub servers: Servers,
    /// Where the journals are.
    pub redis: Redis,
    /// How their keys are called.
    pub keys: Keys,
    /// Where progress is.
    pub pool: Pool,
    /// How the connection of the lease is opened.
    pub lease: PgConnectOptions,
    /// What an entry tells.
    pub events: fn(&Entry) -> Result<Vec<Event>, Unreadable>,
    /// Rung by whoever writes into a journal in this process.
    pub bell: Bell,
    /// How long Kafka may take to acknowledge one event before the relay begins anew; without it for ever.
    pub delivery_timeout: Option<Duration>,
}

/// Wakes the relay of a tag at once, in the process that wrote.
#[derive(Clone, Debug)]
pub struct Bell(Arc<[Notify]>);

impl Default for Bell {
    fn default() -> Self {
        Self((0..TAGS).map(|_| Notify::new()).collect())
    }
}

impl Bell {
    /// Something was written into the journal of `tag`.
    pub fn ring(&self, tag: Tag) {
        self.0[usize::from(tag.number())].notify_one();
    }

    async fn rung(&self, tag: Tag) {
        self.0[usize::from(tag.number())].notified().await;
    }
}

/// Starts the relay. Whether this process relays is decided by the lease.
pub fn spawn(process: &Process, relay: Relay) {
    process.spawn(Stage::Work, "journal relay", move |told| async move {
        relay.run(told).await;
        Ok(())
    });
}

/// What the relays of all tags share while the lease is held.
struct Turn<'a> {
    relay: &'a Relay,
    /// Where the events go.
    topic: String,
    producer: Producer,
    /// Marks that have moved since they were last written down.
    marks: Mutex<HashMap<Tag, Position>>,
    /// Marks as holders before this one left them.
    left: HashMap<Tag, Position>,
    /// How far the consumer has come, as PostgreSQL last said.
    progress: Mutex<HashMap<Tag, Position>>,
    /// When Kafka was last asked whether the consumer has read everything, and what it said.
    caught_up: tokio::sync::Mutex<Option<(Instant, bool)>>,
    gauges: gauges::Gauges,
}

impl Relay {
    /// Relays until told to stop. A fault ends one turn: producer and lease are given up, and everything begins anew at
    /// what PostgreSQL has.
    async fn run(&self, told: CancellationToken) {
        let mut turns = Turns::of(self.service, "journal");
        while !told.is_cancelled() {
            turns.rest(self.turn(&told).await, &told).await;
        }
    }

    async fn turn(&self, told: &CancellationToken) -> anyhow::Result<()> {
        let taken = told.run_until_cancelled(Lease::take(&self.lease, LEASE, &super::holder())).await;
        let Some(taken) = taken else { return Ok(()) };
        let mut lease = taken?;
        let turn = Turn {
            relay: self,
            topic: crate::topic::events(&self.servers, self.service),
            producer: Producer::new(&self.servers, self.delivery_timeout)?,
            marks: Mutex::default(),
            left: crate::postgres::journal::marks(&self.pool).await?,
            progress: Mutex::new(crate::postgres::journal::progress(&self.pool).await?),
            caught_up: tokio::sync::Mutex::default(),
            gauges: gauges::Gauges::new(self.service),
        };
        // One that was not stamped yet is frozen, and is looked at again and again.
        let relays = first_error(Tag::all().map(|tag| tag::relay(&turn, tag)));
        tokio::select! {
            ended = relays => ended,
            ended = turn.follow_progress() => ended,
            () = dead_letters::copy(self.service, &self.servers, &self.pool, lease.copies()) => Ok(()),
            lost = lease.keep(&turn.marks) => Err(lost),
            () = told.cancelled() => {
                // What the tags were waiting for is sent; whatever is not acknowledged in time is sent again later.
                turn.producer.flush().await;
                Ok(())
            }
        }
    }
}

impl Turn<'_> {
    async fn follow_progress(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(PROGRESS_EVERY).await;
            self.producer.check()?;
            match crate::postgres::journal::progress(&self.relay.pool).await {
                Ok(progress) => *self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = progress,
                // The heartbeat decides whether PostgreSQL is away for too long.
                Err(error) => tracing::debug!(%error, "progress is not known now"),
            }
            let progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            self.gauges.look(&progress);
        }
    }

    /// Whether the consumer has read everything that the topic holds: asked of Kafka now and then, for all tags together. Where
    /// Kafka does not say, it has not.
    async fn has_caught_up(&self) -> bool {
        let mut last = self.caught_up.lock().await;
        if let Some((_, answer)) = last.filter(|(asked, _)| asked.elapsed() < LAG_EVERY) {
            return answer;
        }
        let group = self.relay.servers.prefixed(self.relay.consumer);
        let answer = lag::has_none(&self.relay.servers, &group, &self.topic).await.unwrap_or_else(|error| {
            tracing::debug!(cause = format!("{error:#}"), "the lag of the consumer is not known now");
            false
        });
        *last = Some((Instant::now(), answer));
        answer
    }

    fn progress(&self, tag: Tag) -> Position {
        let progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        progress.get(&tag).copied().unwrap_or_default()
    }

    fn mark(&self, tag: Tag, position: Position) {
        self.gauges.acknowledged(tag, position);
        self.marks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(tag, position);
    }
}

/// Runs all side by side until one fails. Not in order: a later one that fails must be seen although those before it go on
/// for ever.
async fn first_error(all: impl IntoIterator<Item = impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    let mut all: FuturesUnordered<_> = all.into_iter().collect();
    while all.try_next().await?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_tag_that_fails_is_seen_beside_tags_that_go_on_for_ever() {
        let tag = |number: u16| async move {
            if number == 49 { Err(anyhow::anyhow!("failed")) } else { std::future::pending().await }
        };
        let ended = first_error((0..TAGS).map(tag)).now_or_never();
        assert!(ended.is_some_and(|ended| ended.is_err()));
    }
}
