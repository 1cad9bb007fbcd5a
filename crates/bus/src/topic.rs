//! Topics: made once by `booster migrate`, with a number of partitions that never changes.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kit::config::Servers;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::types::RDKafkaErrorCode;

/// Partitions of each topic. It never changes, or a key's order would be lost: a topic is replaced instead.
pub const PARTITIONS: i32 = 8;
/// Copies of each partition, where there are brokers enough.
const REPLICAS: usize = 3;
/// How long a topic keeps an event, in milliseconds: seven days. The inbox remembers longer.
const RETENTION_MS: &str = "604800000";
/// How long a segment of a topic is written to, in milliseconds: a day. Only whole segments are removed, so that an event may
/// stay for eight days, and the inbox remembers ten.
const SEGMENT_MS: &str = "86400000";
/// How long one admin request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long Kafka may take to say who its brokers are.
const ANSWER: Duration = Duration::from_secs(5);

/// The topic of a service, outside any namespace: `booster.<service>.v1`.
#[must_use]
pub fn name(service: &str) -> String {
    format!("booster.{service}.v1")
}

/// The topic of a service: `booster.<service>.v1`, within the namespace.
#[must_use]
pub fn events(servers: &Servers, service: &str) -> String {
    servers.prefixed(&name(service))
}

/// Where copies of events are to go that could not take effect; the table of parked events is the truth.
#[must_use]
pub fn dead_letters(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Whether Kafka answers.
///
/// # Errors
/// One sentence that says where it does not.
pub async fn reach(servers: &Servers) -> anyhow::Result<()> {
    let (admin, at) = (admin(servers)?, servers.kafka_brokers.clone());
    // The client blocks its thread while it asks.
    tokio::task::spawn_blocking(move || brokers(&admin, &at).map(drop)).await.context("asking Kafka")?
}

/// Makes the topics of a service that are missing. Returns a warning to print where the cluster is small.
///
/// # Errors
/// One sentence: Kafka cannot be reached, or refused.
pub async fn make(servers: &Servers, service: &str) -> anyhow::Result<Option<String>> {
    let admin = admin(servers)?;
    let brokers = brokers(&admin, &servers.kafka_brokers)?;
    let replicas = brokers.min(REPLICAS);
    let in_sync = replicas.saturating_sub(1).max(1).to_string();
    let topic = events(servers, service);
    let dead = dead_letters(&topic);
    let new = [topic.as_str(), dead.as_str()].map(|name| {
        NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(1)))
            .set("message.timestamp.type", "LogAppendTime")
            .set("retention.ms", RETENTION_MS)
            .set("segment.ms", SEGMENT_MS)
            .set("min.insync.replicas", &in_sync)
    });
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
    for made in admin.create_topics(&new, &options).await.context("cannot make topics")? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => bail!("Kafka refused to make the topic {name}: {code}"),
        }
    }
    Ok((replicas < REPLICAS).then(|| {
        format!("Kafka has {brokers} broker(s): {topic} has {replicas} copies and does not survive the loss of a host")
    }))
}

fn admin(servers: &Servers) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    client(servers).create().context("Kafka client")
}

/// How many brokers there are.
fn brokers(admin: &AdminClient<DefaultClientContext>, at: &str) -> anyhow::Result<usize> {
    match admin.inner().fetch_metadata(None, ANSWER) {
        Ok(metadata) => Ok(metadata.brokers().len()),
        Err(error) => {
            let why = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"));
            bail!(
                "Kafka does not answer at {at} within {} s: start it, or correct --kafka-brokers ({why})",
                ANSWER.as_secs()
            )
        }
    }
}

/// What every Kafka client of this process has in common.
pub(crate) fn client(servers: &Servers) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &servers.kafka_brokers)
        .set("client.id", "booster")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000");
    config
}
