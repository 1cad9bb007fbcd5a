//! The outbox: what a transaction tells reaches Kafka, none without its commit, in order for each key, and takes effect once.

use bus::outbox::Outbox;
use futures::future::join_all;

use crate::counting::{self, count_up};
use crate::kafka::{read, until_consumed};
use crate::place::{Place, until};
use crate::running::{Differently, Running};

/// Rows that Kafka has not acknowledged.
async fn unsent(place: &Place) -> i64 {
    place.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL").await
}

/// Events of each subject stand in the topic in their order.
async fn assert_in_order(place: &Place) {
    let mut last = std::collections::HashMap::new();
    for record in read(place).await {
        let sequence: i64 = record.headers["ce_sequence"].parse().unwrap();
        let before = last.insert(record.headers["ce_subject"].clone(), sequence).unwrap_or_default();
        assert!(sequence > before, "{sequence} comes after {before}");
    }
}

#[tokio::test]
async fn what_is_told_takes_effect_once_and_in_order() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let place = Place::new("outbox-order").await;
    let outbox = Outbox::default();
    let process = Running::consumer(&place, "count").await;
    process.add_outbox(&place, &outbox, Differently::default()).await;
    let write = async |writer: usize| {
        for nth in 0..EACH {
            // Some are everybody's, and their locks are waited for.
            count_up(&place.pool, &outbox, &format!("subject-{}", (writer + nth) % 5)).await;
        }
    };
    join_all((0..WRITERS).map(write)).await;
    // What is rolled back is not told.
    let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
    counting::raise(&mut change, "never").await;
    drop(change);

    place.until_effects("count", i64::try_from(WRITERS * EACH).unwrap()).await;
    until_consumed(&place, "count").await;
    until("everything is noted", async || unsent(&place).await == 0).await;
    place.assert_once("count", WRITERS * EACH).await;
    assert_eq!(read(&place).await.len(), WRITERS * EACH);
    assert_in_order(&place).await;
    process.stop().await;
    place.end().await;
}
