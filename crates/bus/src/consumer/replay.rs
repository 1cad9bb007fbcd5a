//! A span of a topic, taken by a consumer once more: what has taken effect is known to the inbox, and what has not takes effect now.
//! Nothing is asked of the consumer's group, and nothing is committed to it.

mod span;

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use kit::config::Servers;
use kit::postgres::Pool;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::intake::Intake;
pub use super::intake::Taken;
use super::received::Received;
use super::{BATCH, Consumer, PARTITIONS_EVERY, pauses};
use crate::failed::Failed;
use span::Span;

/// Events a second, at most, where the operator says nothing: most of what PostgreSQL can do is left to what comes now.
pub const PER_SECOND: u32 = 1_000;
/// The most that he can say.
pub const PER_SECOND_MOST: u32 = 100_000;
/// The group whose name Kafka's client wants. Nobody joins it.
const GROUP: &str = "booster.replay";
/// What is fetched of one partition at once, in bytes: little, so that all of them come forward together.
const FETCH: &str = "65536";
/// How often a batch is tried while PostgreSQL is away.
const TRIES: usize = 6;
/// How long Kafka may send nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// What is to be replayed, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// The topic, without the namespace.
    pub topic: String,
    /// From the first record that Kafka got at this instant or later; without it from the first that there is.
    pub from: Option<OffsetDateTime>,
    /// Up to the last record that Kafka got before this instant; without it to the last that there is. What comes after the
    /// replay has begun is no part of it.
    pub to: Option<OffsetDateTime>,
    /// How many events a second, at most; from 1 on.
    pub per_second: u32,
}

/// A replay on its way. Whoever drops it ends it: what was taken stays taken.
pub struct Replay {
    intake: Intake,
    kafka: StreamConsumer,
    span: Span,
    per_second: u32,
    /// When the next batch may be taken.
    next: Instant,
    partitions_made: Instant,
}

impl Replay {
    /// Finds out which records are meant.
    ///
    /// # Errors
    /// One sentence: Kafka or PostgreSQL is away, or there is no such topic.
    pub async fn begin(servers: &Servers, pool: Pool, consumer: Consumer, order: &Order) -> anyhow::Result<Self> {
        crate::topic::reach(servers).await?;
        let kafka: StreamConsumer = super::settings(servers, &servers.prefixed(GROUP))
            .set("enable.partition.eof", "true")
            .set("max.partition.fetch.bytes", FETCH)
            .create()?;
        let (topic, from, to) = (servers.prefixed(&order.topic), order.from, order.to);
        // The client blocks its thread while it asks.
        let ask = move || Span::find(&kafka, &topic, from, to).map(|span| (kafka, span));
        let (kafka, span) = tokio::task::spawn_blocking(ask).await.context("asking Kafka")??;
        kafka.assign(&span.assignment()?).context("Kafka cannot be read")?;
        let intake = Intake::replay(consumer, pool);
        intake.make_partitions().await.context("the partitions of the inbox cannot be made")?;
        let now = Instant::now();
        Ok(Self { intake, kafka, span, per_second: order.per_second.max(1), next: now, partitions_made: now })
    }

    /// How many records there are in the span, as good as.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.span.total
    }

    /// Everything that Kafka got before this instant is taken: whoever has to begin again may begin here. Nothing as long as that
    /// is where this one began.
    #[must_use]
    pub fn reached(&self) -> Option<OffsetDateTime> {
        self.span.reached()
    }

    /// Takes some more, and tells what became of them; nothing once all are taken.
    ///
    /// # Errors
    /// Kafka or PostgreSQL is away for longer than a moment, or too much is parked. What was taken stays taken.
    pub async fn step(&mut self) -> anyhow::Result<Option<Taken>> {
        if self.partitions_made.elapsed() > PARTITIONS_EVERY {
            self.intake.make_partitions().await.context("the partitions of the inbox cannot be made")?;
            self.partitions_made = Instant::now();
        }
        let batch = self.next_batch().await?;
        if batch.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep_until(self.next).await;
        let number = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        self.next = Instant::now() + Duration::from_secs(1) * number / self.per_second;
        let taken = self.take(&batch).await?;
        self.span.note(&batch);
        Ok(Some(taken))
    }

    /// What has arrived of the span: at least one record, unless there is none left; no more than a second's.
    async fn next_batch(&mut self) -> anyhow::Result<Vec<Received>> {
        let most = BATCH.min(usize::try_from(self.per_second).unwrap_or(BATCH));
        let (mut batch, mut heard) = (Vec::new(), Instant::now());
        let mut trouble = None::<KafkaError>;
        while batch.is_empty() && !self.span.is_read() {
            let Ok(next) = tokio::time::timeout_at(heard + SILENCE, self.kafka.recv()).await else {
                match trouble {
                    Some(error) => bail!("Kafka has sent nothing for {} s: {error}", SILENCE.as_secs()),
                    None => bail!("Kafka has sent nothing for {} s", SILENCE.as_secs()),
                }
            };
            match next {
                Ok(message) => {
                    heard = Instant::now();
                    batch.extend(arrived(&self.kafka, &mut self.span, &message));
                }
                Err(KafkaError::PartitionEOF(partition)) => self.span.end(partition),
                // The client tries again by itself.
                Err(error) => trouble = Some(error),
            }
        }
        while batch.len() < most && !self.span.is_read() {
            match self.kafka.recv().now_or_never() {
                Some(Ok(message)) => batch.extend(arrived(&self.kafka, &mut self.span, &message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => self.span.end(partition),
                Some(Err(_)) | None => break,
            }
        }
        Ok(batch)
    }

    async fn take(&self, batch: &[Received]) -> Result<Taken, Failed> {
        for pause in pauses().take(TRIES - 1) {
            match self.intake.take(batch).await {
                Err(Failed::Postgres(failure)) if failure.is_away() => tokio::time::sleep(pause).await,
                done => return done,
            }
        }
        self.intake.take(batch).await
    }
}

/// The record, where it belongs to the span. What comes behind the last one of a partition is not fetched any more.
fn arrived(kafka: &StreamConsumer, span: &mut Span, message: &BorrowedMessage<'_>) -> Option<Received> {
    let received = Received::new(message);
    let belongs = span.read(received.partition, received.offset);
    if span.is_read_of(received.partition) {
        let mut read = TopicPartitionList::new();
        read.add_partition(&received.topic, received.partition);
        // Where it is fetched all the same, it is passed over.
        let _ = kafka.pause(&read);
    }
    belongs.then_some(received)
}
