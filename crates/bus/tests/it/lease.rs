//! Who relays: one process at a time, another within ten seconds when it is gone, and nothing is lost on the way.

use std::time::Duration;

use bus::event::{Event, Unreadable};
use bus::journal::Entry;

use crate::counting;
use crate::door::Door;
use crate::kafka::{Lying, read, until_consumed};
use crate::place::{Place, tag, until, within};
use crate::running::{Differently, Running};

/// How long it may take until another process relays.
const TAKEOVER: Duration = Duration::from_secs(10);
/// Events of each flow.
const EVENTS: i64 = 60;

/// The same events, signed by the one who relayed them.
fn signed(entry: &Entry, by: &str) -> Result<Vec<Event>, Unreadable> {
    let events = counting::events(entry)?;
    Ok(events.into_iter().map(|event| Event { traceparent: Some(by.to_owned()), ..event }).collect())
}

fn by_first(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    signed(entry, "first")
}

fn by_second(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    signed(entry, "second")
}

fn is_by(record: &Lying, by: &str) -> bool {
    record.headers["traceparent"] == by
}

/// A process whose relay signs as the first, and relays; its lease may go through a door.
async fn first(place: &Place, lease_port: Option<u16>) -> Running {
    let first = Running::start().await;
    first.add_relay(place, Differently { events: by_first, lease_port, ..Differently::default() }).await;
    until("the first process relays", async || token(place).await == 1).await;
    first
}

/// Another one, which cannot relay now.
async fn second(place: &Place) -> Running {
    let second = Running::start().await;
    second.add_relay(place, Differently { events: by_second, ..Differently::default() }).await;
    second
}

/// Counts the holders of the lease.
async fn token(place: &Place) -> i64 {
    place.number("SELECT coalesce(max(token), 0) FROM lease WHERE name = 'journal'").await
}

/// A flow of events over some tags for about a second and a half.
async fn flow(place: &Place) {
    for sequence in 1..=EVENTS {
        let tag = tag(u16::try_from(sequence % 4).unwrap());
        place.write(tag, counting::entry(&format!("subject-{tag}"), sequence)).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Everything that was written took effect, once.
async fn nothing_is_lost(place: &Place, events: i64) {
    let consumer = Running::consumer(place, "count").await;
    place.until_effects("count", events).await;
    until_consumed(place, "count").await;
    place.assert_once("count", usize::try_from(events).unwrap()).await;
    consumer.stop().await;
}

#[tokio::test]
async fn one_relays_and_the_other_takes_over_when_it_dies() {
    let place = Place::new("lease-dies").await;
    let first = first(&place, None).await;
    let second = second(&place).await;
    flow(&place).await;
    until("all of it is relayed", async || i64::try_from(read(&place).await.len()).unwrap() >= EVENTS).await;
    // As long as the first lives the second sends nothing.
    assert_eq!(token(&place).await, 1);
    assert!(read(&place).await.iter().all(|record| is_by(record, "first")));

    tokio::join!(flow(&place), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.die();
        within(TAKEOVER, "the second process relays", async || token(&place).await == 2).await;
    });
    nothing_is_lost(&place, 2 * EVENTS).await;
    second.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_holder_whose_session_is_ended_is_followed_by_one_alone() {
    let place = Place::new("lease-ended").await;
    let (first, second) = (first(&place, None).await, second(&place).await);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks
                 WHERE locktype = 'advisory' AND objsubid = 2
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS holder";
    tokio::join!(flow(&place), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(place.number(end).await, 1, "one session holds the lease");
        within(TAKEOVER, "somebody relays again", async || token(&place).await == 2).await;
    });
    // Whoever holds it now keeps it: the other one tries every second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(token(&place).await, 2);
    nothing_is_lost(&place, EVENTS).await;
    // What was marked under the older token has not been marked again by it.
    until("the marks are those of the holder", async || {
        place.number("SELECT count(*) FROM journal_mark WHERE token <> 2").await == 0
    })
    .await;
    first.stop().await;
    second.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_silent_holder_has_stopped_before_the_next_begins() {
    let place = Place::new("lease-silent").await;
    let postgres = kit::postgres::options(&place.servers, counting::SERVICE).unwrap().get_port();
    let door = Door::before(postgres).await;
    let first = first(&place, Some(door.port())).await;
    let second = second(&place).await;
    let mut written = 0;
    let silent_since = tokio::time::Instant::now();
    door.silence();
    while token(&place).await == 1 {
        assert!(silent_since.elapsed() < TAKEOVER, "nobody takes over");
        written += 1;
        place.write(tag(7), counting::entry("subject", written)).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    place.write_many(tag(7), "subject", written + 1, 20).await;
    written += 20;
    until("the second process has relayed everything", async || {
        let records = read(&place).await.into_iter().filter(|record| is_by(record, "second"));
        i64::try_from(records.count()).unwrap() == written
    })
    .await;
    // Time enough for a first one that goes on to send it too.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let records = read(&place).await;
    let of_first = records.iter().rposition(|record| is_by(record, "first")).expect("the first has relayed");
    let of_second = records.iter().position(|record| is_by(record, "second")).unwrap();
    assert!(of_first < of_second, "two have relayed at once");
    // When it can be heard again it does not take the lease from the one who holds it.
    door.open();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(token(&place).await, 2);
    nothing_is_lost(&place, written).await;
    first.stop().await;
    second.stop().await;
    place.end().await;
}

#[tokio::test]
async fn who_drains_gives_the_lease_to_the_next() {
    let place = Place::new("lease-drained").await;
    let (first, second) = (first(&place, None).await, second(&place).await);
    place.write_many(tag(3), "subject", 1, 20).await;
    first.stop().await;
    within(Duration::from_secs(5), "the second process relays", async || token(&place).await == 2).await;
    place.write_many(tag(3), "subject", 21, 20).await;
    nothing_is_lost(&place, 40).await;
    second.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_relay_without_journals_does_not_take_the_lease_again_and_again() {
    let place = Place::new("lease-empty").await;
    sqlx::query("DELETE FROM tag").execute(&place.pool).await.unwrap();
    let relay = Running::relay(&place).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let taken = place.number("SELECT coalesce(max(token), 0) FROM lease").await;
    assert!(taken <= 1, "the lease was taken {taken} times");
    relay.stop().await;
    place.end().await;
}
