//! Damaged entries of a journal: the relay parks them and goes on, progress passes them, and the journal is trimmed.

use std::collections::HashMap;
use std::time::Duration;

use bus::arrival::{Arrival, wait};
use kit::redis::Redis;

use crate::counting;
use crate::place::{Place, tag, until};
use crate::running::Running;

/// Under this name the relay parks.
const RELAY: &str = "promotion.relay";

fn damaged(change: (&str, &str)) -> HashMap<String, String> {
    let mut fields = counting::entry("subject", 1);
    fields.insert(change.0.to_owned(), change.1.to_owned());
    fields
}

#[tokio::test]
async fn a_damaged_entry_is_parked_and_everything_else_goes_on() {
    let place = Place::new("damage").await;
    let whole = Running::whole(&place, "count").await;
    let mut ids = Vec::new();
    place.write(tag(5), counting::entry("subject", 1)).await;
    for change in [("kind", "other"), ("at", "noon"), ("sequence", "\0"), ("at", "9".repeat(30).as_str())] {
        ids.push(place.write(tag(5), damaged(change)).await);
        place.write(tag(5), counting::entry("subject", 2)).await;
    }
    // One that has nothing that could be read, at the very end: nobody else moves progress past it.
    ids.push(place.write(tag(5), HashMap::from([("what".to_owned(), "a\0b".to_owned())])).await);
    place.write(tag(6), counting::entry("other", 1)).await;
    place.until_effects("count", 6).await;

    until("the last one is trimmed to", async || place.length(tag(5)).await == 1).await;
    let parked = place.parked(RELAY).await;
    let keys: Vec<_> = parked.iter().map(|parked| parked.parking_key.clone()).collect();
    assert_eq!(keys, ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(parked.iter().all(|one| one.topic == place.keys.journal(tag(5)) && one.partition == 5));
    assert!(parked[0].cause.contains("this is not counted") && parked[0].headers["kind"] == "other", "{parked:?}");
    assert_eq!(parked[4].headers["what"], "a\u{fffd}b");
    let last = ids.last().unwrap();
    let progress: (i64, i64) = sqlx::query_as("SELECT entry_ms, entry_seq FROM journal_progress WHERE tag = 5")
        .fetch_one(&place.pool)
        .await
        .unwrap();
    assert_eq!(progress, (last.ms.cast_signed(), last.seq.cast_signed()));
    let redis = Redis::connect(&place.servers, 1, &[bus::redis::LIBRARY]).await.unwrap();
    let arrival = wait(&redis, &place.pool, &place.keys, tag(5), Duration::from_secs(5)).await.unwrap();
    assert_eq!(arrival, Arrival::Complete);
    redis.close().await;
    place.assert_once("count", 6).await;
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_damaged_entry_is_parked_once_although_it_is_read_again() {
    let place = Place::new("damage-again").await;
    place.write(tag(5), damaged(("kind", "other"))).await;
    place.write(tag(5), counting::entry("subject", 1)).await;
    let first = Running::relay(&place).await;
    until("it is parked", async || place.parked(RELAY).await.len() == 1).await;
    first.die();
    let whole = Running::whole(&place, "count").await;
    place.until_effects("count", 1).await;
    until("the journal is trimmed", async || place.length(tag(5)).await == 1).await;
    assert_eq!(place.parked(RELAY).await.len(), 1);
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn an_entry_that_kafka_can_never_take_is_parked_and_everything_else_goes_on() {
    let place = Place::new("damage-never").await;
    let whole = Running::whole(&place, "count").await;
    // Larger than any record may be, and from a time that no header can tell.
    for change in [("body", "x".repeat(1_100_000).as_str()), ("at", "-99999999999999")] {
        place.write(tag(5), damaged(change)).await;
    }
    place.write(tag(5), counting::entry("subject", 2)).await;
    place.write(tag(6), counting::entry("other", 1)).await;
    place.until_effects("count", 2).await;
    assert_eq!(place.parked(RELAY).await.len(), 2);
    until("the journal is trimmed", async || place.length(tag(5)).await == 1).await;
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn damaged_entries_with_ids_that_are_far_apart_are_all_parked() {
    let place = Place::new("damage-ids").await;
    // A clock that was set back makes Redis count within one millisecond for as long as it takes.
    let ms = kit::clock::to_millis(kit::clock::now()) + 60_000;
    for seq in [1, 1 + (1 << 12), 1 + (1 << 13)] {
        place.write_as(tag(5), &format!("{ms}-{seq}"), damaged(("kind", "other"))).await;
    }
    let relay = Running::relay(&place).await;
    until("progress has passed them", async || place.number("SELECT count(*) FROM journal_progress").await == 1).await;
    assert_eq!(place.parked(RELAY).await.len(), 3);
    relay.stop().await;
    place.end().await;
}
