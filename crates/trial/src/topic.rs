//! A topic, for what no service does: a group reads it once more from its start, and records arrive that nobody of ours sent.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long one question to Kafka may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a group may take to become empty once its members have ended, and to read a topic to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A topic, and the group that reads it. Every method blocks.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Where Kafka is: `host:port`.
    pub brokers: String,
    /// The name of the topic, namespace included.
    pub name: String,
    /// The name of the group, namespace included.
    pub group: String,
}

impl Topic {
    /// The group begins at the first record again. Answers how many records it will read. Its members must have ended.
    ///
    /// # Errors
    /// Kafka does not answer, or the group still has members.
    pub fn rewind(&self) -> anyhow::Result<i64> {
        let (consumer, begun) = (self.consumer()?, Instant::now());
        let (mut first, mut records) = (TopicPartitionList::new(), 0);
        for (partition, low, high) in self.ends(&consumer)? {
            first.add_partition_offset(&self.name, partition, Offset::Offset(low))?;
            records += high - low;
        }
        // Kafka refuses as long as it believes that a member lives.
        while let Err(error) = consumer.commit(&first, CommitMode::Sync) {
            ensure!(begun.elapsed() < PATIENCE, "the group {} cannot be rewound: {error}", self.group);
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(records)
    }

    /// Waits until the group has read, and committed, every record.
    ///
    /// # Errors
    /// Kafka does not answer, or the group does not come to the end.
    pub fn read_to_the_end(&self) -> anyhow::Result<()> {
        let (consumer, begun) = (self.consumer()?, Instant::now());
        loop {
            let lag = self.lag(&consumer)?;
            if lag == 0 {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{} still has {lag} records to read", self.group);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Puts a record there that no service of ours has sent.
    ///
    /// # Errors
    /// Kafka does not take it.
    pub fn put(&self, headers: &[(&str, &str)], payload: &str) -> anyhow::Result<()> {
        let producer: BaseProducer = self.config().create()?;
        let own = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        // Any partition will do: whoever repairs by hand does not know better either.
        let record = BaseRecord::<str, str>::to(&self.name).headers(own).payload(payload);
        producer.send(record).map_err(|(error, _)| error)?;
        Ok(producer.flush(ANSWER)?)
    }

    fn lag(&self, consumer: &BaseConsumer) -> anyhow::Result<i64> {
        let (ends, mut asked) = (self.ends(consumer)?, TopicPartitionList::new());
        for (partition, ..) in &ends {
            asked.add_partition(&self.name, *partition);
        }
        let committed = consumer.committed_offsets(asked, ANSWER).context("the offsets of the group")?;
        let left = ends.into_iter().map(|(partition, low, high)| {
            match committed.find_partition(&self.name, partition).map(|found| found.offset()) {
                Some(Offset::Offset(next)) => high - next,
                _ => high - low,
            }
        });
        Ok(left.sum())
    }

    /// Each partition, its first offset, and the one after its last.
    fn ends(&self, consumer: &BaseConsumer) -> anyhow::Result<Vec<(i32, i64, i64)>> {
        let metadata = consumer.fetch_metadata(Some(&self.name), ANSWER).context("the topic")?;
        let partitions = metadata.topics().first().context("there is no such topic")?.partitions();
        let ends = partitions.iter().map(|partition| {
            let (low, high) = consumer.fetch_watermarks(&self.name, partition.id(), ANSWER)?;
            Ok((partition.id(), low, high))
        });
        ends.collect()
    }

    fn consumer(&self) -> anyhow::Result<BaseConsumer> {
        Ok(self.config().set("group.id", &self.group).set("enable.auto.commit", "false").create()?)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}
