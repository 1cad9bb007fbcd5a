//! Outbox -> Kafka: reads the rows that were not sent, in order, sends them, waits for the acknowledgement, and notes it on each row.
//!
//! The outbox is divided by a hash of the partition key. The processes of a service share the parts among themselves, so that one
//! relay at a time sends what belongs to a key. Everything goes over the one connection that holds the locks: whoever has lost them
//! can neither read nor note any more.

mod slots;
mod floor;
mod batch;
mod keeper;

use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::postgres::Pool;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use super::{Turns, dead_letters};
use crate::lease::BEAT;
use crate::outbox::Outbox;
use crate::postgres::outbox::{self, Unsent};
use crate::producer::Producer;
use batch::Batch;
use slots::Slots;

/// How long the relay waits for the bell before it looks by itself: another process may have written.
const LOOK: Duration = Duration::from_millis(250);
/// How long Kafka may take for what is in flight when the process drains.
const DRAIN: Duration = Duration::from_secs(5);

/// What a relay of an outbox needs.
#[derive(Clone)]
pub struct Relay {
    /// The service whose outbox it is.
    pub service: &'static str,
    /// Where Kafka is.
    pub servers: Servers,
    /// Where the outbox is.
    pub pool: Pool,
    /// How the connection is opened that holds the locks, reads and marks.
    pub connection: PgConnectOptions,
    /// The outbox that this process writes into.
    pub outbox: Outbox,
    /// How long Kafka may take to acknowledge one event before the relay begins anew; without it for ever.
    pub delivery_timeout: Option<Duration>,
}

/// Starts the relay, and what keeps the table of the outbox in order. Once it returns, the outbox can be written into.
///
/// # Errors
/// PostgreSQL is away, or has no such table.
pub async fn spawn(process: &Process, relay: Relay) -> anyhow::Result<()> {
    outbox::make_partitions(&relay.pool).await?;
    let kept = relay.clone();
    process.spawn(Stage::Work, "outbox keeper", move |told| async move {
        told.run_until_cancelled(keeper::keep(&kept)).await;
        Ok(())
    });
    process.spawn(Stage::Work, "outbox relay", move |told| async move {
        let mut turns = Turns::of(relay.service, "outbox");
        while !told.is_cancelled() {
            turns.rest(relay.turn(&told).await, &told).await;
        }
        Ok(())
    });
    Ok(())
}

impl Relay {
    async fn turn(&self, told: &CancellationToken) -> anyhow::Result<()> {
        // Who has no way to Kafka leaves the outbox to those who have one.
        let open = async {
            crate::topic::reach(&self.servers).await?;
            Slots::open(&self.connection, self.service).await
        };
        let Some(slots) = told.run_until_cancelled(open).await else { return Ok(()) };
        let slots = slots?;
        let copies = slots.copies();
        let producer = Producer::new(&self.servers, self.delivery_timeout)?;
        let topic = crate::topic::events(&self.servers, self.service);
        let turn = Turn { relay: self, topic, producer, slots };
        tokio::select! {
            ended = turn.run(told) => ended,
            () = dead_letters::copy(self.service, &self.servers, &self.pool, copies) => Ok(()),
        }
    }
}

struct Turn<'a> {
    relay: &'a Relay,
    topic: String,
    /// Ends before the locks are given up: what it still holds must not overtake what the next owner sends.
    producer: Producer,
    slots: Slots,
}

impl Turn<'_> {
    async fn run(mut self, told: &CancellationToken) -> anyhow::Result<()> {
        while !told.is_cancelled() {
            self.slots.share().await?;
            self.producer.check()?;
            let rows = self.slots.read().await?;
            if rows.is_empty() {
                let rung = tokio::time::timeout(LOOK, self.relay.outbox.rung());
                told.run_until_cancelled(rung).await;
                continue;
            }
            let batch = self.deliver(&rows, told).await?;
            let sent = batch.sent();
            self.slots.mark(&sent).await?;
            metrics::counter!("booster_relayed_events_total", "service" => self.relay.service)
                .increment(sent.len() as u64);
            if let Some(why) = batch.why {
                return Err(why);
            }
        }
        Ok(())
    }

    /// Sends the rows and waits until Kafka has them; the session lives meanwhile. Where the process drains, it is not waited for
    /// long.
    async fn deliver(&mut self, rows: &[Unsent], told: &CancellationToken) -> anyhow::Result<Batch> {
        let drained = async {
            told.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        let mut batch = Batch::default();
        {
            let delivered = batch.deliver(self.relay, &self.producer, &self.topic, rows);
            tokio::pin!(drained, delivered);
            loop {
                tokio::select! {
                    () = &mut delivered => break,
                    () = &mut drained => break,
                    () = tokio::time::sleep(BEAT) => self.slots.beat().await?,
                }
            }
        }
        Ok(batch)
    }
}
