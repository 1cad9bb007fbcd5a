//! Outbox -> Kafka: reads the rows that were not sent, in order, sends them, waits for the acknowledgement, and notes it on each row.
//!
//! The outbox is divided by a hash of the partition key. The processes of a service share the parts among themselves, so that one
//! relay at a time sends what belongs to a key. Everything goes over the one connection that holds the locks: whoever has lost them
//! can neither read nor note any more.

mod slots;
mod keeper;

use std::time::Duration;

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::postgres::Pool;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use super::{dead_letters, parking};
use crate::event::Unreadable;
use crate::lease::BEAT;
use crate::outbox::Outbox;
use crate::postgres::outbox::{self, RowId, Unsent};
use crate::postgres::parked::Parked;
use crate::producer::{Producer, Record, acknowledged};
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
        while !told.is_cancelled() {
            super::rest(relay.turn(&told).await, &told).await;
        }
        Ok(())
    });
    Ok(())
}

impl Relay {
    async fn turn(&self, told: &CancellationToken) -> anyhow::Result<()> {
        let Some(slots) = told.run_until_cancelled(Slots::open(&self.connection, self.service)).await else {
            return Ok(());
        };
        let slots = slots?;
        let first = slots.holds_first();
        let producer = Producer::new(&self.servers, self.delivery_timeout)?;
        let topic = crate::topic::events(&self.servers, self.service);
        let turn = Turn { relay: self, slots, producer, topic };
        // One of those who share the outbox copies what is parked.
        let copy = async {
            first.cancelled().await;
            dead_letters::copy(self.service, &self.servers, &self.pool).await;
        };
        tokio::select! {
            ended = turn.run(told) => ended,
            () = copy => Ok(()),
        }
    }
}

struct Turn<'a> {
    relay: &'a Relay,
    slots: Slots,
    producer: Producer,
    topic: String,
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
            let Some(sent) = self.deliver(&rows, told).await? else { break };
            self.slots.mark(&sent).await?;
            metrics::counter!("booster_relayed_events_total", "service" => self.relay.service)
                .increment(sent.len() as u64);
        }
        Ok(())
    }

    /// Sends the rows and waits until Kafka has all of them, however long that takes; the session lives meanwhile. Returns which
    /// were sent; nothing where the process drains and Kafka does not answer.
    async fn deliver(&mut self, rows: &[Unsent], told: &CancellationToken) -> anyhow::Result<Option<Vec<RowId>>> {
        let drained = async {
            told.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        let sent = send(self.relay, &self.producer, &self.topic, rows);
        tokio::pin!(drained, sent);
        loop {
            tokio::select! {
                sent = &mut sent => return Ok(Some(sent?)),
                () = &mut drained => return Ok(None),
                () = tokio::time::sleep(BEAT) => self.slots.beat().await?,
            }
        }
    }
}

/// Sends in order; the first delivery that fails ends the turn. A row that no topic would take is parked.
async fn send(relay: &Relay, producer: &Producer, topic: &str, rows: &[Unsent]) -> anyhow::Result<Vec<RowId>> {
    let (mut sent, mut deliveries) = (Vec::with_capacity(rows.len()), FuturesUnordered::new());
    for row in rows {
        match Record::of(&row.event, topic) {
            Ok(record) => {
                deliveries.push(acknowledged(producer.send(&record).await?));
                sent.push(row.place);
            }
            Err(unreadable) => park(relay, row, &unreadable).await?,
        }
    }
    while deliveries.try_next().await?.is_some() {}
    Ok(sent)
}

/// Parked first, then taken out: whoever dies in between parks it again, which changes nothing.
async fn park(relay: &Relay, row: &Unsent, cause: &Unreadable) -> anyhow::Result<()> {
    let event = &row.event;
    let headers = [("ce_id", &event.id), ("ce_type", &event.kind), ("ce_subject", &event.subject)];
    let headers: serde_json::Map<_, _> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.clone().into())).collect();
    let parked = Parked {
        parking_key: event.id.clone(),
        topic: "outbox".to_owned(),
        // No tag, and no partition of a topic.
        partition: -1,
        offset: row.place.id,
        headers: headers.into(),
        payload: event.payload.to_vec(),
        cause: cause.to_string(),
        attempts: 1,
    };
    if parking::park(&relay.pool, relay.service, &parked).await? {
        let (service, id, cause) = (relay.service, &event.id, &parked.cause);
        tracing::error!(service, id, cause, "a row of the outbox is parked");
    }
    let mut tx = kit::postgres::begin(&relay.pool).await?;
    outbox::take_out(&mut tx, row.place).await?;
    Ok(kit::postgres::commit(tx).await?)
}
