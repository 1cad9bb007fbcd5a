//! What is parked is copied by one of all who relay for a service, journals or outbox, and by another where that one dies.

use std::time::Duration;

use bus::outbox::Outbox;

use crate::kafka::read_topic;
use crate::place::{Place, until};
use crate::running::{Differently, Running};

/// Events that are parked in each part of the test, and the pause between them: longer than two that copy would go on together.
const EACH: i64 = 12;
const PAUSE: Duration = Duration::from_millis(300);

/// Parks some events one after the other, from this offset on, and waits until all are copied. Returns how many copies there are.
async fn park(place: &Place, first: i64) -> i64 {
    let statement = r#"INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
        VALUES ('count', 'key', $1, 0, $2, '{}', '', 'a test', 1)"#;
    for offset in first..first + EACH {
        sqlx::query(statement).bind(place.topic()).bind(offset).execute(&place.pool).await.unwrap();
        tokio::time::sleep(PAUSE).await;
    }
    let uncopied = "SELECT count(*) FROM parked WHERE copied_at IS NULL";
    until("all are copied", async || place.number(uncopied).await == 0).await;
    i64::try_from(read_topic(place, bus::topic::dead_letters(&place.topic())).await.len()).unwrap()
}

async fn relays_journals(place: &Place, token: i64) {
    let statement = "SELECT coalesce(max(token), 0) FROM lease WHERE name = 'journal'";
    until("the journals are relayed", async || place.number(statement).await == token).await;
}

#[tokio::test]
async fn one_of_those_who_relay_copies_and_another_goes_on_when_it_dies() {
    let place = Place::new("copier").await;
    let journals = Running::relay(&place).await;
    let outbox = Running::start().await;
    outbox.add_outbox(&place, &Outbox::default(), Differently::default()).await;
    relays_journals(&place, 1).await;
    let slots = "SELECT count(*) FROM lease WHERE starts_with(name, 'outbox/')";
    until("the outbox is relayed", async || place.number(slots).await == 16).await;
    assert_eq!(park(&place, 0).await, EACH, "each is copied once");

    journals.die();
    assert_eq!(park(&place, EACH).await, 2 * EACH);
    let journals = Running::relay(&place).await;
    relays_journals(&place, 2).await;
    outbox.die();
    assert_eq!(park(&place, 2 * EACH).await, 3 * EACH);
    journals.stop().await;
    place.end().await;
}
