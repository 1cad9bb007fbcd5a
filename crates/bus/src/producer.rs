//! The way into Kafka: one idempotent producer that keeps order without gaps, or ends.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kit::config::Servers;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use time::format_description::well_known::Rfc3339;

use crate::event::{Event, Unreadable};

/// Records that librdkafka may hold; the relay waits beyond it.
const QUEUE_RECORDS: &str = "50000";
/// Memory that librdkafka may hold for them, in KiB.
const QUEUE_KIB: &str = "65536";
/// Bytes of a record, at most: Kafka takes a megabyte, and counts a little more than we do.
pub(crate) const RECORD_BYTES: usize = 900_000;
/// Pause before a full queue is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);
/// How long the last records may take when a process drains.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// One producer's life. After any failed delivery it is of no more use: what came after might have overtaken it.
pub(crate) struct Producer {
    inner: FutureProducer,
}

/// What goes to a topic.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub topic: &'a str,
    /// Decides about the partition.
    pub key: &'a str,
    pub headers: OwnedHeaders,
    pub payload: &'a [u8],
}

impl Producer {
    /// A delivery that takes longer than `delivery_timeout` fails; without one it is tried for ever.
    pub(crate) fn new(servers: &Servers, delivery_timeout: Option<Duration>) -> anyhow::Result<Self> {
        let timeout_ms = delivery_timeout.map_or(0, |timeout| timeout.as_millis());
        let inner = crate::topic::client(servers)
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // Gapless does not cover time-outs, so there is none (0): what is in flight is bounded by us.
            .set("message.timeout.ms", timeout_ms.to_string())
            .set("linger.ms", "2")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", QUEUE_RECORDS)
            .set("queue.buffering.max.kbytes", QUEUE_KIB)
            // Errors only: it would warn at each start that gapless is experimental, and of each reconnection.
            .set("log_level", "3")
            .create()
            .context("cannot make a Kafka producer")?;
        Ok(Self { inner })
    }

    /// Hands one record over; what is returned ends when Kafka has acknowledged it.
    pub(crate) async fn send(&self, record: &Record<'_>) -> anyhow::Result<DeliveryFuture> {
        loop {
            let copy =
                FutureRecord::to(record.topic).key(record.key).payload(record.payload).headers(record.headers.clone());
            match self.inner.send_result(copy) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
                Err((error, _)) => return Err(error).context("Kafka does not take an event"),
            }
        }
    }

    /// Whether Kafka has told this producer that it must not go on.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.inner.client().fatal_error() {
            Some((code, why)) => bail!("the producer has ended: {code}: {why}"),
            None => Ok(()),
        }
    }

    /// Waits, bounded, until everything is acknowledged.
    pub(crate) async fn flush(&self) {
        let inner = self.inner.clone();
        let flushed = tokio::task::spawn_blocking(move || inner.flush(FLUSH_TIMEOUT)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            // Whatever was not acknowledged is still where it was read.
            tracing::info!("not everything was acknowledged by Kafka; it will be sent again");
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

/// Waits for one acknowledgement.
pub(crate) async fn acknowledged(delivery: DeliveryFuture) -> anyhow::Result<Delivery> {
    match delivery.await {
        Ok(Ok(delivered)) => Ok(delivered),
        Ok(Err((error, _))) => Err(error).context("Kafka did not take an event"),
        Err(_) => bail!("the producer ended before Kafka acknowledged an event"),
    }
}

impl<'a> Record<'a> {
    /// CloudEvents 1.0 in binary mode.
    ///
    /// # Errors
    /// No topic would ever take it.
    pub(crate) fn of(event: &'a Event, topic: &'a str) -> Result<Self, Unreadable> {
        let time = event.time.format(&Rfc3339);
        let time = time.map_err(|error| Unreadable::new(format!("ce_time cannot be written: {error}")))?;
        let record = Self { topic, key: &event.partition_key, headers: headers(event, &time), payload: &event.payload };
        let bytes = record.bytes();
        if bytes > RECORD_BYTES {
            return Err(Unreadable::new(format!("{bytes} bytes are more than a topic takes, which is {RECORD_BYTES}")));
        }
        Ok(record)
    }

    /// How large it is, as good as.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len));
        self.payload.len() + self.key.len() + headers.sum::<usize>()
    }
}

fn headers(event: &Event, time: &str) -> OwnedHeaders {
    let sequence = event.sequence.to_string();
    let mut headers = OwnedHeaders::new_with_capacity(9);
    let fixed = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/protobuf"),
        ("ce_id", event.id.as_str()),
        ("ce_type", event.kind.as_str()),
        ("ce_source", event.source.as_str()),
        ("ce_subject", event.subject.as_str()),
        ("ce_time", time),
        ("ce_sequence", sequence.as_str()),
        ("ce_partitionkey", event.partition_key.as_str()),
    ];
    for (key, value) in fixed {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    if let Some(value) = &event.traceparent {
        headers = headers.insert(Header { key: "traceparent", value: Some(value) });
    }
    headers
}
