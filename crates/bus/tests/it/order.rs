//! Events of one key reach the topic in the order of the journal, also where the way to Kafka breaks in the middle.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::journal::Tag;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::counting;
use crate::door::Door;
use crate::kafka::{read, until_consumed};
use crate::place::{Place, seed, tag, until};
use crate::running::{Differently, Running};

/// Entries of each journal, and events of each entry.
const ENTRIES: i64 = 120;
const EVENTS: usize = 10;
/// Journals that are written to.
const TAGS: u16 = 2;

/// Writes entries of several events; returns the ids of all events, in their order.
async fn write(place: &Place, tag: Tag) -> Vec<String> {
    let subjects: Vec<_> = (0..EVENTS).map(|number| format!("subject-{tag}-{number}")).collect();
    let mut ids = Vec::new();
    for sequence in 1..=ENTRIES {
        let entry = place.write(tag, counting::entry(&subjects.join(","), sequence)).await;
        ids.extend((0..EVENTS).map(|index| format!("{}/{tag}/1/{entry}/{index}", counting::SERVICE)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ids
}

/// Cuts the way to Kafka now and then, and once for longer than a moment.
async fn cut(door: &Door, rng: &mut StdRng, over: &AtomicBool) {
    let mut cuts = 0;
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..400))).await;
        cuts += 1;
        if cuts == 3 {
            door.shut();
            tokio::time::sleep(Duration::from_secs(1)).await;
            door.open();
        } else {
            door.cut();
        }
    }
    assert!(cuts >= 4, "it was cut {cuts} times");
}

#[tokio::test]
async fn a_way_to_kafka_that_breaks_changes_no_order() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("order").await;
    let door = Door::before_kafka(&place.servers).await;
    let relay = Running::start().await;
    relay.add_relay(&place, Differently { kafka_brokers: Some(door.address()), ..Differently::default() }).await;
    let over = AtomicBool::new(false);
    let written = async {
        let (first, second) = tokio::join!(write(&place, tag(0)), write(&place, tag(1)));
        over.store(true, Ordering::Relaxed);
        [first, second].concat()
    };
    let (ids, ()) = tokio::join!(written, cut(&door, &mut rng, &over));
    let total = usize::from(TAGS) * usize::try_from(ENTRIES).unwrap() * EVENTS;
    assert_eq!(ids.len(), total);
    until("everything is on the topic", async || {
        read(&place).await.iter().map(|record| record.id().to_owned()).collect::<HashSet<_>>().len() == total
    })
    .await;
    // What is sent again may come again; nothing may overtake what has not been there yet.
    let place_of: HashMap<_, _> = ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut next: HashMap<String, usize> = HashMap::new();
    for record in read(&place).await {
        let key = record.headers["ce_partitionkey"].clone();
        let start = usize::from(key.parse::<u16>().unwrap()) * total / usize::from(TAGS);
        let next = next.entry(key).or_insert(start);
        let at = place_of[record.id()];
        assert!(at <= *next, "{} has overtaken {}", record.id(), ids[*next]);
        *next = (*next).max(at + 1);
    }
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    place.assert_once("count", total).await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_delivery_that_takes_too_long_loses_nothing() {
    let place = Place::new("order-timeout").await;
    let door = Door::before_kafka(&place.servers).await;
    let relay = Running::start().await;
    let kafka_brokers = Some(door.address());
    let delivery_timeout = Some(Duration::from_secs(1));
    relay.add_relay(&place, Differently { kafka_brokers, delivery_timeout, ..Differently::default() }).await;
    place.write_many(tag(0), "subject", 1, 3).await;
    until("the first events are on the topic", async || read(&place).await.len() >= 3).await;
    // Longer than a delivery may take: the producer gives up, and the relay begins anew at what PostgreSQL has.
    door.silence();
    place.write_many(tag(0), "subject", 4, 3).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    door.cut();
    door.open();
    let consumer = Running::consumer(&place, "count").await;
    place.until_effects("count", 6).await;
    until_consumed(&place, "count").await;
    place.assert_once("count", 6).await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}
