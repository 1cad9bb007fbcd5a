//! The topic, seen from outside: records of one's own, what lies on it, and how far a group has come.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bus::journal::Tag;
use futures::future::join_all;
use kit::config::Servers;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::format_description::well_known::Rfc3339;

use crate::counting::COUNTED;
use crate::place::{PATIENCE, Place};

/// How long one request to Kafka may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Pause between two looks at the offsets of a group.
const LOOK: Duration = Duration::from_millis(100);

/// A record to be produced: an event, until something of it is changed.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub payload: Vec<u8>,
}

impl Record {
    /// An event that happens now. Its id is not one of a journal: it moves no progress.
    pub fn event(tag: Tag, subject: &str, sequence: i64) -> Self {
        let time = kit::clock::now().format(&Rfc3339).unwrap();
        let id = uuid::Uuid::now_v7().to_string();
        let headers = [
            ("ce_id", id.as_str()),
            ("ce_type", COUNTED),
            ("ce_source", "test"),
            ("ce_subject", subject),
            ("ce_time", &time),
            ("ce_sequence", &sequence.to_string()),
            ("ce_partitionkey", &tag.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        Self { key: tag.to_string(), headers: headers.into(), payload: format!("{subject} {sequence}").into() }
    }

    /// With another value of a header.
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// With another payload.
    pub fn carrying(self, payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..self }
    }
}

/// A record, and where it lies.
#[derive(Clone, Debug)]
pub struct Lying {
    pub partition: i32,
    pub offset: i64,
    pub headers: HashMap<String, String>,
    pub payload: Vec<u8>,
}

impl Lying {
    /// Its `ce_id`.
    pub fn id(&self) -> &str {
        &self.headers["ce_id"]
    }
}

/// Whoever writes to the topic besides the relay.
pub struct Producer {
    inner: FutureProducer,
    topic: String,
}

impl Producer {
    /// One that writes to the topic of this place.
    pub fn new(place: &Place) -> Self {
        let inner = client(&place.servers)
            .set("enable.idempotence", "true")
            // What the broker takes, and more than librdkafka sends by itself.
            .set("message.max.bytes", "1048588")
            .create()
            .unwrap();
        Self { inner, topic: place.topic() }
    }

    /// Produces records in their order; returns the partition and the offset of each.
    pub async fn send(&self, records: &[Record]) -> Vec<(i32, i64)> {
        let send = |record: &Record| {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            let record = FutureRecord::to(&self.topic).key(&record.key).payload(&record.payload).headers(headers);
            self.inner.send_result(record).map_err(|(error, _)| error).unwrap()
        };
        let sent: Vec<_> = records.iter().map(send).collect();
        let delivered = join_all(sent).await.into_iter().map(|delivery| delivery.unwrap().unwrap());
        delivered.map(|delivery| (delivery.partition, delivery.offset)).collect()
    }
}

/// Everything that lies on the topic, partition by partition in order.
pub async fn read(place: &Place) -> Vec<Lying> {
    read_topic(place, place.topic()).await
}

/// The same of another topic.
pub async fn read_topic(place: &Place, topic: String) -> Vec<Lying> {
    let config = client(&place.servers);
    let read = move || {
        let mut config = config;
        // Partitions that are empty are not waited for.
        config.set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer =
            config.set("group.id", "nobody").set("enable.auto.commit", "false").create().unwrap();
        let ends = (0..bus::topic::PARTITIONS).map(|at| consumer.fetch_watermarks(&topic, at, TIMEOUT).unwrap());
        let left: i64 = ends.map(|(low, high)| high - low).sum();
        consumer.assign(&everywhere(&topic, Offset::Beginning)).unwrap();
        let lying = (0..left).map(|_| lies(&consumer.poll(TIMEOUT).expect("Kafka answers").unwrap()));
        let mut lying: Vec<_> = lying.collect();
        lying.sort_by_key(|record| (record.partition, record.offset));
        lying
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

fn lies(message: &rdkafka::message::BorrowedMessage<'_>) -> Lying {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect::<HashMap<_, _>>()
    });
    Lying {
        partition: message.partition(),
        offset: message.offset(),
        headers: headers.unwrap_or_default(),
        payload: message.payload().unwrap_or_default().to_vec(),
    }
}

/// Up to where a consumer has committed each partition, and where the partition ends.
pub async fn offsets(place: &Place, consumer: &str) -> Vec<(i64, i64)> {
    let (topic, group) = (place.topic(), group(place, consumer));
    tokio::task::spawn_blocking(move || ask(&group, &topic)).await.unwrap()
}

/// Waits until a consumer has committed everything that lies on the topic.
pub async fn until_consumed(place: &Place, consumer: &str) {
    let (topic, group) = (place.topic(), group(place, consumer));
    let wait = move || {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let offsets = ask(&group, &topic);
            if offsets.iter().all(|(committed, end)| committed == end) {
                return;
            }
            assert!(Instant::now() < deadline, "what is committed, and where it ends: {offsets:?}");
            std::thread::sleep(LOOK);
        }
    };
    tokio::task::spawn_blocking(wait).await.unwrap();
}

fn ask(group: &BaseConsumer, topic: &str) -> Vec<(i64, i64)> {
    let committed = group.committed_offsets(everywhere(topic, Offset::Invalid), TIMEOUT).unwrap();
    let pair = |partition| {
        let (_, end) = group.fetch_watermarks(topic, partition, TIMEOUT).unwrap();
        let committed = committed.find_partition(topic, partition).unwrap().offset().to_raw();
        (committed.unwrap_or_default().max(0), end)
    };
    (0..bus::topic::PARTITIONS).map(pair).collect()
}

/// Sets a consumer, which must not run, back to the beginning.
pub async fn rewind(place: &Place, consumer: &str) {
    commit(place, consumer, |_| 0).await;
}

/// Makes a consumer, which must not run, miss what lies on the topic now, as if Kafka had lost it.
pub async fn skip(place: &Place, consumer: &str) {
    commit(place, consumer, |end| end).await;
}

async fn commit(place: &Place, consumer: &str, to: fn(i64) -> i64) {
    let ends = offsets(place, consumer).await;
    let (topic, group) = (place.topic(), group(place, consumer));
    let mut list = TopicPartitionList::new();
    for (partition, (_, end)) in (0..).zip(ends) {
        list.add_partition_offset(&topic, partition, Offset::Offset(to(end))).unwrap();
    }
    tokio::task::spawn_blocking(move || group.commit(&list, CommitMode::Sync).unwrap()).await.unwrap();
}

fn group(place: &Place, consumer: &str) -> BaseConsumer {
    client(&place.servers).set("group.id", place.servers.prefixed(consumer)).create().unwrap()
}

fn everywhere(topic: &str, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in 0..bus::topic::PARTITIONS {
        list.add_partition_offset(topic, partition, offset).unwrap();
    }
    list
}

/// A client that knows where Kafka is.
pub fn client(servers: &Servers) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers.kafka_brokers);
    config
}
