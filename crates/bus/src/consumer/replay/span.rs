//! Which records of a topic are meant, fixed once; and how far in them a replay has come.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::OffsetDateTime;

use super::Received;

/// How long one question to Kafka may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What is left of a topic's span.
pub(super) struct Span {
    topic: String,
    /// How many records it had at its beginning: offsets, some of which may have no record.
    pub total: u64,
    from: Option<OffsetDateTime>,
    parts: Vec<Part>,
}

/// What is left of one partition.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    partition: i32,
    /// The first that has not been read.
    next: i64,
    /// The first that is no part of the span.
    end: i64,
    /// The first that has not been taken, where `next` may be ahead of it.
    untaken: i64,
    /// When Kafka got the last one that was taken.
    reached: Option<OffsetDateTime>,
}

impl Span {
    /// Asks Kafka, and blocks the thread meanwhile.
    pub(super) fn find(
        kafka: &StreamConsumer,
        topic: &str,
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
    ) -> anyhow::Result<Self> {
        let metadata = kafka.fetch_metadata(Some(topic), ANSWER).context("Kafka does not tell of its topics")?;
        let partitions = metadata.topics().first().map(|found| found.partitions()).unwrap_or_default();
        if partitions.is_empty() {
            bail!("Kafka has no topic {topic}: run `booster migrate` first");
        }
        let ids: Vec<i32> = partitions.iter().map(|partition| partition.id()).collect();
        let (froms, tos) = (at(kafka, topic, &ids, from)?, at(kafka, topic, &ids, to)?);
        let mut parts = Vec::new();
        for ((partition, from), to) in ids.into_iter().zip(froms).zip(tos) {
            let ends = kafka.fetch_watermarks(topic, partition, ANSWER);
            let (low, high) = ends.context("Kafka does not tell where a partition ends")?;
            let next = from.unwrap_or(low).clamp(low, high);
            let end = to.unwrap_or(high).min(high);
            if next < end {
                parts.push(Part { partition, next, end, untaken: next, reached: None });
            }
        }
        let total = parts.iter().map(|part| (part.end - part.next).unsigned_abs()).sum();
        Ok(Self { topic: topic.to_owned(), total, from, parts })
    }

    /// Where each partition is to be read from.
    pub(super) fn assignment(&self) -> anyhow::Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for part in &self.parts {
            list.add_partition_offset(&self.topic, part.partition, Offset::Offset(part.next))?;
        }
        Ok(list)
    }

    /// Notes that a record was read; whether it belongs to the span.
    pub(super) fn read(&mut self, partition: i32, offset: i64) -> bool {
        let Some(part) = self.parts.iter_mut().find(|part| part.partition == partition) else { return false };
        if offset < part.next || part.is_read() {
            return false;
        }
        part.next = offset + 1;
        offset < part.end
    }

    /// There is nothing more on this partition.
    pub(super) fn end(&mut self, partition: i32) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.partition == partition) {
            part.next = part.next.max(part.end);
        }
    }

    /// Whether everything was read.
    pub(super) fn is_read(&self) -> bool {
        self.parts.iter().all(Part::is_read)
    }

    /// Whether everything of this partition was read.
    pub(super) fn is_read_of(&self, partition: i32) -> bool {
        self.parts.iter().filter(|part| part.partition == partition).all(Part::is_read)
    }

    /// Notes that these were taken.
    pub(super) fn note(&mut self, batch: &[Received]) {
        for received in batch {
            if let Some(part) = self.parts.iter_mut().find(|part| part.partition == received.partition) {
                part.untaken = received.offset + 1;
                part.reached = received.at.or(part.reached);
            }
        }
    }

    /// Everything of before this instant is taken, on every partition; nothing where that is where the span begins.
    pub(super) fn reached(&self) -> Option<OffsetDateTime> {
        let left = self.parts.iter().filter(|part| part.untaken < part.end);
        left.map(|part| part.reached.or(self.from)).min().flatten()
    }
}

impl Part {
    fn is_read(&self) -> bool {
        self.next >= self.end
    }
}

/// The first offset of each partition that Kafka got at this instant or later; nothing where it got none since.
fn at(
    kafka: &StreamConsumer,
    topic: &str,
    partitions: &[i32],
    time: Option<OffsetDateTime>,
) -> anyhow::Result<Vec<Option<i64>>> {
    let Some(time) = time else { return Ok(vec![None; partitions.len()]) };
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, Offset::Offset(millis(time)))?;
    }
    let found = kafka.offsets_for_times(asked, ANSWER).context("Kafka does not tell what it got when")?;
    let offset = |partition: &i32| match found.find_partition(topic, *partition).map(|found| found.offset()) {
        Some(Offset::Offset(offset)) => Some(offset),
        // Beyond its last record, whatever it is by now.
        _ => Some(i64::MAX),
    };
    Ok(partitions.iter().map(offset).collect())
}

/// Kafka knows milliseconds: the first one that is not before the instant.
fn millis(time: OffsetDateTime) -> i64 {
    let rounded = time.unix_timestamp_nanos().max(0) + 999_999;
    i64::try_from(rounded / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(ms: i64) -> OffsetDateTime {
        kit::clock::from_millis(ms)
    }

    fn part(partition: i32, end: i64) -> Part {
        Part { partition, next: 0, end, untaken: 0, reached: None }
    }

    #[test]
    fn an_instant_is_inclusive_to_the_millisecond() {
        assert_eq!(millis(instant(5)), 5);
        assert_eq!(millis(instant(5) + time::Duration::NANOSECOND), 6);
        assert_eq!(millis(instant(-5)), 0);
    }

    #[test]
    fn what_lies_beyond_the_end_is_no_part_and_ends_the_partition() {
        let mut span = Span { topic: String::new(), total: 4, from: None, parts: vec![part(0, 2), part(1, 2)] };
        assert!(span.read(0, 0) && !span.read(0, 0), "once");
        assert!(!span.read(0, 7) && !span.is_read() && !span.read(0, 1));
        span.end(1);
        assert!(span.is_read() && !span.read(2, 0));
    }

    #[test]
    fn a_span_has_come_as_far_as_the_slowest_of_its_partitions() {
        let from = Some(instant(1));
        let mut span = Span { topic: String::new(), total: 4, from, parts: vec![part(0, 2), part(1, 2)] };
        assert_eq!(span.reached(), from);
        (span.parts[0].untaken, span.parts[0].reached) = (1, Some(instant(9)));
        assert_eq!(span.reached(), from);
        (span.parts[1].untaken, span.parts[1].reached) = (1, Some(instant(3)));
        assert_eq!(span.reached(), Some(instant(3)));
        span.parts[1].untaken = 2;
        assert_eq!(span.reached(), Some(instant(9)), "what is done keeps nobody back");
    }
}
