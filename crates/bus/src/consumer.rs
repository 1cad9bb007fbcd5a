//! Kafka -> PostgreSQL: a batch of events, the inbox, the effects and the progress in one transaction; offsets after it.

pub mod replay;
mod intake;
mod fate;
mod received;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::postgres::{Pool, Tx};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::failed::Failed;
use crate::inbox::First;
use crate::outbox::Told;
use intake::Intake;
use received::Received;

/// Events in one transaction, at most.
const BATCH: usize = 1_000;
/// Pauses between attempts while PostgreSQL is away: doubled from the first to the last, and jittered.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often it is said that Kafka is away.
const AWAY_EVERY: Duration = Duration::from_secs(30);
/// Traces that the span of a batch belongs to, at most.
const TRACES: usize = 32;
/// How often partitions of the inbox are made.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);

/// The effects of a service: what its events change in its tables.
pub trait Effects: Send + Sync + 'static {
    /// Applies events that are here for the first time, in the order of their partitions, in `tx`; answers what that has told
    /// others, if anything. It is called again with the same events when the transaction could not be committed.
    fn apply(&self, tx: &mut Tx, events: &[First]) -> impl Future<Output = Result<Told, Failed>> + Send;

    /// Whether events of this type (`ce_type`) concern it. All others are passed over: they cost no row of the inbox, are never parked,
    /// and wait for nobody.
    fn wants(&self, kind: &str) -> bool {
        let _ = kind;
        true
    }
}

/// [`Effects`], whatever their type is.
pub(crate) trait Apply: Send + Sync {
    fn apply<'a>(&'a self, tx: &'a mut Tx, events: &'a [First]) -> BoxFuture<'a, Result<Told, Failed>>;

    fn wants(&self, kind: &str) -> bool;
}

impl<E: Effects> Apply for E {
    fn apply<'a>(&'a self, tx: &'a mut Tx, events: &'a [First]) -> BoxFuture<'a, Result<Told, Failed>> {
        Effects::apply(self, tx, events).boxed()
    }

    fn wants(&self, kind: &str) -> bool {
        Effects::wants(self, kind)
    }
}

/// A consumer, as its service declares it: whoever starts it, and whoever replays a topic through it, goes by the same words.
#[derive(Clone)]
pub struct Consumer {
    name: String,
    service: &'static str,
    topics: Vec<String>,
    effects: Arc<dyn Apply>,
}

impl Consumer {
    /// `name` is its name in the inbox, and its group; of the journals of `service`, which it is a part of, it notes the progress.
    /// The topics are named without the namespace.
    pub fn new(name: &str, service: &'static str, topics: Vec<String>, effects: impl Effects) -> Self {
        Self { name: name.to_owned(), service, topics, effects: Arc::new(effects) }
    }

    /// Its name in the inbox, and its group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service that it is a part of, in whose schema its tables stand.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// What its events do.
    pub(crate) fn effects(&self) -> &dyn Apply {
        self.effects.as_ref()
    }

    /// What it reads, without the namespace.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.topics
    }
}

/// Starts a consumer.
///
/// # Errors
/// Its settings are not ones that Kafka's client takes.
pub fn spawn(process: &Process, servers: &Servers, pool: Pool, consumer: Consumer) -> anyhow::Result<()> {
    let kafka: StreamConsumer = settings(servers, &servers.prefixed(&consumer.name))
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000")
        .set("partition.assignment.strategy", "range")
        .create()?;
    let topics: Vec<String> = consumer.topics.iter().map(|topic| servers.prefixed(topic)).collect();
    kafka.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let brokers = servers.kafka_brokers.clone();
    process.spawn(Stage::Work, "consumer", move |told| async move {
        let reader = Reader { intake: Intake::live(consumer, pool), kafka, brokers, said_away: Mutex::default() };
        reader.run(&told).await;
        Ok(())
    });
    Ok(())
}

/// How Kafka is read, whoever reads it. Offsets are committed by hand, if at all.
fn settings(servers: &Servers, group: &str) -> ClientConfig {
    let mut settings = crate::topic::client(servers);
    settings
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A consumer that is new must not miss what came before it.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_uncommitted")
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", "16384");
    settings
}

struct Reader {
    intake: Intake,
    kafka: StreamConsumer,
    /// Where Kafka is.
    brokers: String,
    /// When it was last said that Kafka is away.
    said_away: Mutex<Option<Instant>>,
}

impl Reader {
    async fn run(&self, told: &CancellationToken) {
        let mut partitions_made = None::<Instant>;
        while !told.is_cancelled() {
            if partitions_made.is_none_or(|made| made.elapsed() > PARTITIONS_EVERY) {
                if !self.make_partitions(told).await {
                    return;
                }
                partitions_made = Some(Instant::now());
            }
            // On a topic that is idle for days, partitions are made all the same.
            let next = tokio::time::timeout(PARTITIONS_EVERY, self.next_batch());
            let Some(batch) = told.run_until_cancelled(next).await else { return };
            let Ok(batch) = batch else { continue };
            if batch.is_empty() {
                continue;
            }
            // What was begun is finished, unless PostgreSQL is away: then it is read again by whoever comes next.
            let span = trace(self.intake.name(), &batch);
            if self.take(&batch, told).instrument(span).await {
                self.commit(&batch);
            }
        }
    }

    /// Whatever has arrived: at least one, at most [`BATCH`].
    async fn next_batch(&self) -> Vec<Received> {
        let mut batch = Vec::new();
        match self.kafka.recv().await {
            Ok(message) => batch.push(Received::new(&message)),
            Err(error) => {
                self.say_away(&error);
                tokio::time::sleep(PAUSES.0).await;
            }
        }
        while !batch.is_empty() && batch.len() < BATCH {
            match self.kafka.recv().now_or_never() {
                Some(Ok(message)) => batch.push(Received::new(&message)),
                Some(Err(_)) | None => break,
            }
        }
        batch
    }

    /// Nobody who asks this process for something needs Kafka, so that it goes on; but somebody should look.
    fn say_away(&self, error: &KafkaError) {
        let mut said = self.said_away.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > AWAY_EVERY) {
            *said = Some(Instant::now());
            let (brokers, cause) = (&self.brokers, error.to_string());
            tracing::warn!(
                brokers,
                cause,
                "Kafka cannot be read: start it, or correct --kafka-brokers; events wait where they were told until it answers"
            );
        }
    }

    /// Brings the batch into PostgreSQL, however long it takes. False when told to stop before it was there.
    async fn take(&self, batch: &[Received], told: &CancellationToken) -> bool {
        for pause in pauses() {
            match self.intake.take(batch).await {
                Ok(_) => return true,
                Err(failed) => {
                    let cause = format!("{:#}", anyhow::Error::new(failed));
                    tracing::warn!(cause, events = batch.len(), "a batch has to wait");
                }
            }
            // A partition of the inbox may have gone since it was last asked what there is.
            self.intake.forget_reach();
            if told.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return false;
            }
        }
        false
    }

    fn commit(&self, batch: &[Received]) {
        let mut offsets = TopicPartitionList::new();
        for received in batch {
            let next = Offset::Offset(received.offset + 1);
            if let Some(mut known) = offsets.find_partition(&received.topic, received.partition) {
                // Later ones of a partition come later in the batch.
                let _ = known.set_offset(next);
            } else {
                let _ = offsets.add_partition_offset(&received.topic, received.partition, next);
            }
        }
        if let Err(error) = self.kafka.commit(&offsets, CommitMode::Async) {
            // The same events come again, and the inbox knows them.
            tracing::info!(%error, "offsets were not committed");
        }
    }

    /// Without partitions nothing could be recognised when it comes again: nothing is read before they are there. False when
    /// told to stop before.
    async fn make_partitions(&self, told: &CancellationToken) -> bool {
        for pause in pauses() {
            match self.intake.make_partitions().await {
                Ok(()) => return true,
                Err(failure) => {
                    let cause = format!("{:#}", anyhow::Error::new(failure));
                    let consumer = self.intake.name();
                    tracing::warn!(consumer, cause, "the partitions of the inbox cannot be made now");
                }
            }
            if told.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return false;
            }
        }
        false
    }
}

/// Pauses without end: those who wait for the same PostgreSQL do not come back all at once.
fn pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1);
    pauses.with_jitter().without_max_times().build()
}

/// A span of the batch: it goes on with the trace of the first event that has one, and is linked to those of the others.
fn trace(consumer: &str, batch: &[Received]) -> Span {
    let span = tracing::info_span!("consume", consumer, events = batch.len());
    let mut traces: Vec<&str> =
        batch.iter().filter_map(|received| received.event.as_ref().ok()?.traceparent.as_deref()).collect();
    traces.dedup();
    for (index, traceparent) in traces.into_iter().take(TRACES).enumerate() {
        if index == 0 {
            kit::telemetry::continue_trace(&span, traceparent);
        } else {
            kit::telemetry::link_trace(&span, traceparent);
        }
    }
    span
}
