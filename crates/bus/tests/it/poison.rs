//! Events that cannot take effect: they alone are parked, with all that is known of them, and what comes later for the same
//! key behind them. Everything else goes on.

use std::collections::{HashMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::counting::{BREAKS, Counting};
use crate::door::Door;
use crate::kafka::{Producer, Record, read_topic, until_consumed};
use crate::place::{Parked, Place, seed, tag, until};
use crate::running::Running;

/// Subjects that nothing is wrong with, and events of each: about one event in twenty is poison.
const SUBJECTS: u16 = 20;
const EVENTS: i64 = 10;
/// A payload just below what a broker takes in one record, which is 1 MiB with its headers: bytes.
const LARGE: usize = 1_040_000;

/// One event that cannot take effect.
struct Poison {
    name: &'static str,
    record: Record,
    cause: &'static str,
    /// Its key is known: what comes later for it waits behind.
    keyed: bool,
}

/// What it is called, what its cause says, and how an event becomes it.
type Kind = (&'static str, &'static str, fn(Record) -> Record);

/// Events that the effects, or their tables, refuse.
const KEYED: [Kind; 5] = [
    ("undecodable", "cannot be decoded", |record| record.carrying([0xff, 0xfe])),
    ("zero-byte", "0x00", |record| record.carrying(*b"a\0b")),
    ("constraint", "effect_body_check", |record| record.carrying(BREAKS)),
    ("unknown-type", "is not a type of event", |record| record.with("ce_type", "booster.test.v9.Counted")),
    ("large", "index row", |record| {
        // By chance, or PostgreSQL would press it together.
        let mut rng = StdRng::seed_from_u64(0);
        record.carrying((0..LARGE).map(|_| rng.random_range(b'a'..=b'z')).collect::<Vec<_>>())
    }),
];
/// Records that are not even events.
const UNKEYED: [Kind; 7] = [
    ("no-id", "ce_id is missing", |record| record.without("ce_id")),
    ("no-subject", "ce_subject is missing", |record| record.without("ce_subject")),
    ("long-subject", "ce_subject is too long", |record| record.with("ce_subject", "x".repeat(1_025))),
    ("no-time", "ce_time is missing", |record| record.without("ce_time")),
    ("not-a-time", "ce_time is not a time", |record| record.with("ce_time", "yesterday")),
    ("not-a-number", "ce_sequence is not", |record| record.with("ce_sequence", "1.5")),
    ("bare", "is missing", |record| Record { headers: Vec::new(), ..record.carrying([]) }),
];

fn every_poison() -> Vec<Poison> {
    let make = |keyed, kinds: &[Kind]| {
        let one = |(number, (name, cause, change)): (u16, &Kind)| Poison {
            name,
            record: change(Record::event(tag(number), name, 2)),
            cause,
            keyed,
        };
        (0..).zip(kinds).map(one).collect::<Vec<_>>()
    };
    [make(true, &KEYED), make(false, &UNKEYED)].into_iter().flatten().collect()
}

/// All in one order by chance, in which those of one subject keep theirs.
fn mixed(mut subjects: Vec<VecDeque<Record>>, rng: &mut StdRng) -> Vec<Record> {
    let mut records = Vec::new();
    while !subjects.is_empty() {
        let at = rng.random_range(0..subjects.len());
        match subjects[at].pop_front() {
            Some(record) => records.push(record),
            None => drop(subjects.swap_remove(at)),
        }
    }
    records
}

/// What has been parked is the record that lies at that place, whole.
fn assert_whole(parked: &Parked, record: &Record, topic: &str) {
    assert_eq!((parked.topic.as_str(), &parked.payload), (topic, &record.payload), "{}", parked.parking_key);
    let headers = parked.headers.as_object().unwrap();
    let expected: HashMap<_, _> =
        record.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value))).collect();
    assert_eq!(headers.len(), expected.len());
    assert!(expected.iter().all(|(name, value)| headers[*name] == value.as_ref()), "{headers:?}");
}

#[tokio::test]
async fn only_poison_and_what_comes_behind_it_is_parked() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("poison").await;
    let poison = every_poison();
    let mut subjects: Vec<VecDeque<Record>> = Vec::new();
    for Poison { name, record, .. } in &poison {
        let event = |sequence| Record { key: record.key.clone(), ..Record::event(tag(0), name, sequence) };
        subjects.push([event(1), record.clone(), event(3)].into());
    }
    for number in 0..SUBJECTS {
        let subject = format!("subject-{number}");
        subjects.push((1..=EVENTS).map(|sequence| Record::event(tag(number), &subject, sequence)).collect());
    }
    let records = mixed(subjects, &mut rng);
    let places = Producer::new(&place).send(&records).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;

    let at: HashMap<_, _> = places.into_iter().zip(&records).collect();
    let parked = place.parked("count").await;
    for parked in &parked {
        assert_whole(parked, at[&(parked.partition, parked.offset)], &place.topic());
    }
    let keyed = poison.iter().filter(|poison| poison.keyed).count();
    assert_eq!(parked.len(), poison.len() + keyed);
    for poison in &poison {
        let is_it = |parked: &&Parked| parked.payload == poison.record.payload && parked.cause.contains(poison.cause);
        let found = parked.iter().find(is_it).unwrap_or_else(|| panic!("{} is not parked", poison.name));
        assert!(found.attempts >= 1);
        let behind = |parked: &&Parked| parked.parking_key == poison.name && parked.cause.contains("an earlier event");
        assert_eq!(parked.iter().filter(behind).count(), usize::from(poison.keyed), "behind {}", poison.name);
    }
    // Before each poison one event, after it one more where its key is not known, and everything of the others.
    let good = usize::from(SUBJECTS) * usize::try_from(EVENTS).unwrap() + poison.len() + (poison.len() - keyed);
    place.assert_once("count", good).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_poison_that_comes_again_is_parked_once_more_and_not_twice() {
    let place = Place::new("poison-again").await;
    let poison = Record::event(tag(2), "subject", 1).carrying(BREAKS);
    let producer = Producer::new(&place);
    producer.send(std::slice::from_ref(&poison)).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    consumer.stop().await;
    // Once the same record, once another one with the same event.
    crate::kafka::rewind(&place, "count").await;
    producer.send(&[poison]).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    let parked = place.parked("count").await;
    assert_eq!(parked.iter().map(|parked| parked.offset).collect::<Vec<_>>(), [0, 1]);
    let counts = bus::arrival::parked(&place.pool).await.unwrap();
    assert_eq!(counts, [("count".to_owned(), 2)]);
    place.assert_once("count", 0).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_has_taken_effect_is_not_parked_when_it_comes_again() {
    let place = Place::new("poison-effect").await;
    let (good, poison) = (Record::event(tag(2), "subject", 1), Record::event(tag(2), "subject", 2).carrying(BREAKS));
    Producer::new(&place).send(&[good, poison]).await;
    for _ in 0..2 {
        let consumer = Running::consumer(&place, "count").await;
        until_consumed(&place, "count").await;
        consumer.stop().await;
        // The whole topic comes again.
        crate::kafka::rewind(&place, "count").await;
    }
    assert_eq!(place.parked("count").await.len(), 1, "only the poison");
    place.assert_once("count", 1).await;
    place.end().await;
}

#[tokio::test]
async fn two_events_whose_ids_are_not_text_are_both_parked() {
    let place = Place::new("poison-ids").await;
    let records = [b"one\0id", b"one\xffid"].map(|id| Record::event(tag(2), "subject", 1).with("ce_id", *id));
    Producer::new(&place).send(&records).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    // Read as text both would be the same event, and the second one would be lost.
    assert_eq!(place.parked("count").await.len(), 2);
    place.assert_once("count", 0).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_header_whose_name_is_not_text_does_not_end_the_process() {
    let place = Place::new("poison-header").await;
    let (good, broken) = (Record::event(tag(2), "good", 1), Record::event(tag(2), "broken", 1).with("damage", "x"));
    Producer::new(&place).send(&[broken, good]).await;
    let door = Door::before_kafka_with(&place.servers, &[(b"damage", b"d\xff\xfe\xfdge")]).await;
    let running = Running::start().await;
    running.add_consumer_on(&place, Counting::new("count"), &door.address()).await;
    until_consumed(&place, "count").await;
    let effects = place.effects("count").await;
    assert!(effects.iter().any(|effect| effect.subject == "good"), "{effects:?}");
    assert_eq!(effects.len() + place.parked("count").await.len(), 2);
    running.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_copy_of_what_is_parked_goes_to_the_dead_letter_topic() {
    let place = Place::new("poison-copy").await;
    let whole = Running::whole(&place, "count").await;
    let poison = Record::event(tag(2), "subject", 1).carrying(BREAKS);
    let large = Record::event(tag(2), "large", 1).carrying(vec![0xff; 950_000]).without("ce_time");
    Producer::new(&place).send(&[poison.clone(), large]).await;
    let topic = bus::topic::dead_letters(&place.topic());
    until("both are copied", async || read_topic(&place, topic.clone()).await.len() >= 2).await;
    let copies = read_topic(&place, topic).await;
    let copy = |whole: &str| copies.iter().find(|copy| copy.headers["dlq_whole"] == whole).unwrap();
    let (poisoned, shortened) = (copy("true"), copy("false"));
    assert_eq!((poisoned.payload.as_slice(), poisoned.headers["ce_subject"].as_str()), (BREAKS.as_bytes(), "subject"));
    let about =
        ["dlq_consumer", "dlq_topic", "dlq_partition", "dlq_attempts"].map(|name| poisoned.headers[name].as_str());
    let parked = place.parked("count").await;
    assert_eq!(about, ["count", &place.topic(), &parked[0].partition.to_string(), "3"]);
    assert!(parked[0].cause.starts_with(&poisoned.headers["dlq_cause"]), "{:?}", parked[0].cause);
    assert!(shortened.payload.is_empty() && shortened.headers["dlq_cause"].contains("ce_time"));
    assert_eq!(copies.len(), 2);
    whole.stop().await;
    place.end().await;
}
