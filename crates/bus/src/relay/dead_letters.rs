//! A copy of each parked event goes to the dead letter topic of its own topic. The table of parked events is the truth; the copy
//! may come twice.

use std::time::Duration;

use futures::future::try_join_all;
use kit::config::Servers;
use kit::postgres::Pool;
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::watch;

use crate::postgres::parked::{self, Uncopied};
use crate::producer::{Producer, RECORD_BYTES, Record, acknowledged};

/// How often the relay looks for what was parked.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after a copy was not taken, or PostgreSQL did not answer.
const AGAIN: Duration = Duration::from_secs(5);
/// How long Kafka may take for one copy.
const DELIVERY: Duration = Duration::from_secs(30);
/// Events copied at once.
const PAGE: i64 = 100;
/// Room for what a copy says of where the event came from, in bytes. Of an event that leaves less only that is copied.
const ABOUT_BYTES: usize = 10_000;
/// Bytes of a cause in a header, at most.
const CAUSE_BYTES: usize = 1_024;

/// Copies from the moment on at which that is this session's duty, by a producer of its own: a copy that Kafka does not take holds
/// up no event.
pub(super) async fn copy(service: &str, servers: &Servers, pool: &Pool, mut duty: watch::Receiver<bool>) {
    if duty.wait_for(|held| *held).await.is_err() {
        return std::future::pending().await;
    }
    loop {
        if let Err(error) = copy_next(service, servers, pool).await {
            tracing::warn!(
                cause = format!("{error:#}"),
                "what is parked cannot be copied to its dead letter topic now"
            );
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Waits until something is parked, and copies until nothing is left.
async fn copy_next(service: &str, servers: &Servers, pool: &Pool) -> anyhow::Result<()> {
    let mut page = parked::uncopied(pool, PAGE).await?;
    while page.is_empty() {
        tokio::time::sleep(LOOK).await;
        page = parked::uncopied(pool, PAGE).await?;
    }
    let producer = Producer::new(servers, Some(DELIVERY))?;
    while !page.is_empty() {
        let ids = send(service, servers, &producer, &page).await?;
        parked::copied(pool, &ids).await?;
        page = parked::uncopied(pool, PAGE).await?;
    }
    Ok(())
}

/// Returns which ones Kafka has.
async fn send(service: &str, servers: &Servers, producer: &Producer, page: &[Uncopied]) -> anyhow::Result<Vec<i64>> {
    let own = crate::topic::events(servers, service);
    let parking_name = parked::relay_name(service);
    let mut deliveries = Vec::with_capacity(page.len());
    for uncopied in page {
        let event = &uncopied.event;
        // What the relay could not read never was on a topic: it would have come to this one.
        let from = if uncopied.consumer == parking_name { &own } else { &event.topic };
        let topic = crate::topic::dead_letters(from);
        let is_small = event.payload.len() + event.headers.to_string().len() + ABOUT_BYTES < RECORD_BYTES;
        let headers = headers(uncopied, is_small);
        let payload = if is_small { event.payload.as_slice() } else { &[] };
        let record = Record { topic: &topic, key: &event.parking_key, headers, payload };
        deliveries.push(acknowledged(producer.send(&record).await?));
    }
    try_join_all(deliveries).await?;
    Ok(page.iter().map(|uncopied| uncopied.id).collect())
}

/// The event's own headers (where they fit), and where it came from and why it is here.
fn headers(uncopied: &Uncopied, is_small: bool) -> OwnedHeaders {
    let event = &uncopied.event;
    let own = event.headers.as_object().filter(|_| is_small);
    let own = own.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let mut end = event.cause.len().min(CAUSE_BYTES);
    while !event.cause.is_char_boundary(end) {
        end -= 1;
    }
    let (id, partition) = (uncopied.id.to_string(), event.partition.to_string());
    let (offset, attempts) = (event.offset.to_string(), event.attempts.to_string());
    let about = [
        ("dlq_id", id.as_str()),
        ("dlq_consumer", &uncopied.consumer),
        ("dlq_topic", &event.topic),
        ("dlq_partition", &partition),
        ("dlq_offset", &offset),
        ("dlq_cause", &event.cause[..end]),
        ("dlq_attempts", &attempts),
        ("dlq_whole", if is_small { "true" } else { "false" }),
    ];
    own.chain(about)
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}
