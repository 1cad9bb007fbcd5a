//! A record that Kafka has lost after all is sent again: the consumer has nothing left to read, and progress stands still.

use std::collections::HashMap;
use std::time::Duration;

use crate::kafka::{read, skip, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

/// Side by side, because each of them has to wait for as long as progress may stand still.
#[tokio::test]
async fn what_kafka_lost_is_sent_again_and_nothing_else() {
    tokio::join!(
        what_kafka_lost_is_sent_again(),
        what_kafka_lost_is_sent_again_although_a_damaged_entry_follows_it(),
        a_consumer_that_is_away_is_not_sent_the_same_again(),
    );
}

async fn what_kafka_lost_is_sent_again() {
    let (place, tag) = (Place::new("standstill").await, tag(11));
    let relay = Running::relay(&place).await;
    place.write_many(tag, "subject", 1, 5).await;
    until("all of it is relayed", async || read(&place).await.len() == 5).await;
    skip(&place, "count").await;
    let consumer = Running::consumer(&place, "count").await;
    place.until_effects("count", 5).await;
    until_consumed(&place, "count").await;
    place.assert_once("count", 5).await;
    until("the journal is trimmed", async || place.length(tag).await == 1).await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}

async fn what_kafka_lost_is_sent_again_although_a_damaged_entry_follows_it() {
    let (place, tag) = (Place::new("standstill-damage").await, tag(11));
    let relay = Running::relay(&place).await;
    place.write_many(tag, "subject", 1, 5).await;
    place.write(tag, HashMap::from([("kind".to_owned(), "other".to_owned())])).await;
    until("all of it is relayed", async || read(&place).await.len() == 5).await;
    skip(&place, "count").await;
    let consumer = Running::consumer(&place, "count").await;
    place.until_effects("count", 5).await;
    until("the journal is trimmed", async || place.length(tag).await == 1).await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}

async fn a_consumer_that_is_away_is_not_sent_the_same_again() {
    let (place, tag) = (Place::new("standstill-away").await, tag(11));
    let relay = Running::relay(&place).await;
    let consumer = Running::consumer(&place, "count").await;
    place.write_many(tag, "subject", 1, 5).await;
    place.until_effects("count", 5).await;
    until_consumed(&place, "count").await;
    consumer.stop().await;
    place.write_many(tag, "subject", 6, 5).await;
    // Longer than progress may stand still.
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(read(&place).await.len(), 10);
    relay.stop().await;
    place.end().await;
}
