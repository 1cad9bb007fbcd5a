//! Whether a group of consumers has read everything that a topic holds.

use std::time::Duration;

use anyhow::Context as _;
use kit::config::Servers;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::topic::PARTITIONS;

/// How long Kafka may take for one answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Whether the group has committed everything that the topic holds now, in every partition.
///
/// # Errors
/// Kafka does not answer.
pub(super) async fn has_none(servers: &Servers, group: &str, topic: &str) -> anyhow::Result<bool> {
    let client = crate::topic::client(servers).set("group.id", group).create().context("Kafka client")?;
    let topic = topic.to_owned();
    // The client blocks its thread while it asks.
    tokio::task::spawn_blocking(move || ask(&client, &topic)).await.context("asking for the lag")?
}

fn ask(client: &BaseConsumer, topic: &str) -> anyhow::Result<bool> {
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition(topic, partition);
    }
    let committed = client.committed_offsets(partitions, ANSWER).context("committed offsets")?;
    for partition in committed.elements() {
        let (low, high) =
            client.fetch_watermarks(topic, partition.partition(), ANSWER).context("ends of a partition")?;
        // Whoever has committed nothing begins at the earliest record.
        let next = match partition.offset() {
            Offset::Offset(next) => next,
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => low,
        };
        if next.max(low) < high {
            return Ok(false);
        }
    }
    Ok(true)
}
