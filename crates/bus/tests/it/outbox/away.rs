//! Kafka is away, or refuses: what is told waits in the outbox, the relay keeps its session, and afterwards everything arrives.

use std::time::Duration;

use bus::outbox::{Outbox, UNSENT_MOST};
use kit::error::Error;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use super::{assert_told_once, relay, unsent};
use crate::counting::count_up;
use crate::door::Door;
use crate::kafka::{client, read};
use crate::place::{Place, until};
use crate::running::{Differently, Running};

/// Events of each of these tests, written while Kafka does not take them.
const EVENTS: i64 = 30;
/// The session that relays.
const SESSION: &str = "SELECT coalesce(min(pid), 0)::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND mode = 'ShareLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// For how long Kafka is away: longer than PostgreSQL waits for a session that is silent. `BOOSTER_TEST_FULL=1` makes it a minute,
/// which is longer than a relay waits for Kafka.
fn away() -> (Duration, bool) {
    let is_full = std::env::var("BOOSTER_TEST_FULL").is_ok();
    (Duration::from_secs(if is_full { 60 } else { 9 }), is_full)
}

async fn write(place: &Place, outbox: &Outbox) {
    for nth in 0..EVENTS {
        count_up(&place.pool, outbox, &format!("subject-{}", nth % 7)).await;
    }
}

/// A process that consumes, one that relays through a door to Kafka, and the door.
async fn through_a_door(place: &Place, outbox: &Outbox, delivery_timeout: Option<Duration>) -> ([Running; 2], Door) {
    let door = Door::before_kafka(&place.servers).await;
    let differently = Differently { kafka_brokers: Some(door.address()), delivery_timeout, ..Differently::default() };
    ([Running::consumer(place, "count").await, relay(place, outbox, differently).await], door)
}

/// Side by side, because both have to wait for as long as Kafka is away.
#[tokio::test]
async fn a_kafka_that_is_away_is_waited_for_and_the_session_lives_meanwhile() {
    tokio::join!(is_waited_for(Door::silence), is_waited_for(Door::shut));
}

async fn is_waited_for(goes_away: fn(&Door)) {
    let place = Place::new("outbox-away").await;
    let outbox = Outbox::default();
    let (processes, door) = through_a_door(&place, &outbox, None).await;
    write(&place, &outbox).await;
    until("all of it is sent", async || unsent(&place).await == 0).await;
    let session = place.number(SESSION).await;
    goes_away(&door);
    write(&place, &outbox).await;
    let (away, gives_up) = away();
    tokio::time::sleep(away).await;
    assert_eq!(unsent(&place).await, EVENTS, "nothing is lost");
    assert!(gives_up || place.number(SESSION).await == session, "the session has lived");
    door.open();
    assert_told_once(&place, gives_up).await;
    assert!(gives_up || place.number(SESSION).await == session, "nothing had to begin anew");
    for process in processes {
        process.stop().await;
    }
    place.end().await;
}

#[tokio::test]
async fn a_delivery_that_ends_in_a_time_out_is_begun_anew() {
    let place = Place::new("outbox-time-out").await;
    let outbox = Outbox::default();
    let (processes, door) = through_a_door(&place, &outbox, Some(Duration::from_secs(1))).await;
    write(&place, &outbox).await;
    until("all of it is sent", async || unsent(&place).await == 0).await;
    let session = place.number(SESSION).await;
    door.shut();
    write(&place, &outbox).await;
    // Somebody else may have a way to Kafka.
    until("the relay has left its parts", async || place.number(SESSION).await == 0).await;
    assert_eq!(unsent(&place).await, EVENTS, "nothing is lost");
    door.open();
    until("all of it is sent", async || unsent(&place).await == 0).await;
    assert_ne!(place.number(SESSION).await, session, "it has begun anew");
    crate::kafka::until_consumed(&place, "count").await;
    place.assert_once("count", usize::try_from(2 * EVENTS).unwrap()).await;
    for process in processes {
        process.stop().await;
    }
    place.end().await;
}

/// Lets the topic of this place take records of so many bytes and no larger ones.
async fn take_bytes(place: &Place, number: &str) {
    let admin: AdminClient<DefaultClientContext> = client(&place.servers).create().unwrap();
    let topic = place.topic();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", number);
    for altered in admin.alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
}

#[tokio::test]
async fn what_kafka_refuses_waits_until_it_does_not() {
    let place = Place::new("outbox-refusal").await;
    let outbox = Outbox::default();
    let process = relay(&place, &outbox, Differently::default()).await;
    take_bytes(&place, "1").await;
    let session = place.number(SESSION).await;
    write(&place, &outbox).await;
    until("the relay has begun anew", async || ![0, session].contains(&place.number(SESSION).await)).await;
    assert_eq!(unsent(&place).await, EVENTS, "nothing is lost");
    assert!(read(&place).await.is_empty());
    take_bytes(&place, "1000000").await;
    let consumer = Running::consumer(&place, "count").await;
    assert_told_once(&place, false).await;
    process.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn where_too_much_waits_nothing_is_begun_until_it_has_been_sent() {
    let place = Place::new("outbox-full").await;
    let outbox = Outbox::default();
    let (processes, door) = through_a_door(&place, &outbox, None).await;
    door.shut();
    write(&place, &outbox).await;
    assert!(outbox.begin::<()>(&place.pool).await.is_ok());
    // As if so many had been written since then.
    let push = "SELECT setval('outbox_id', last_value + $1) FROM outbox_id";
    sqlx::query(push).bind(UNSENT_MOST).execute(&place.pool).await.unwrap();
    let is_full = async || matches!(outbox.begin::<()>(&place.pool).await, Err(Error::Overloaded { .. }));
    until("it is refused", is_full).await;
    door.open();
    until("it is taken again", async || !is_full().await).await;
    count_up(&place.pool, &outbox, "subject-0").await;
    assert_told_once(&place, false).await;
    for process in processes {
        process.stop().await;
    }
    place.end().await;
}
