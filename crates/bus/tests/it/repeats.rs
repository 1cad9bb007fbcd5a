//! What comes again has no second effect: relayed twice, read twice, replayed from the start.

use time::format_description::well_known::Rfc3339;

use crate::counting::{self, SERVICE};
use crate::kafka::{Producer, Record, offsets, read, rewind, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

/// Events of each test, over four tags.
const EVENTS: usize = 80;

async fn write(place: &Place) {
    for number in 0..4 {
        place.write_many(tag(number), &format!("subject-{number}"), 1, 20).await;
    }
}

/// Everything that effects, inbox and progress have left behind, as one text.
async fn left_behind(place: &Place) -> String {
    let statement = "SELECT concat_ws(E'\\n',
        (SELECT string_agg(e::text, ' ' ORDER BY n) FROM effect e),
        (SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM state s),
        (SELECT string_agg(i::text, ' ' ORDER BY i::text) FROM inbox i),
        (SELECT string_agg(p::text, ' ' ORDER BY p::text) FROM journal_progress p))";
    sqlx::query_scalar(statement).fetch_one(&place.pool).await.unwrap()
}

#[tokio::test]
async fn what_is_relayed_twice_takes_effect_once() {
    let place = Place::new("repeats-relay").await;
    write(&place).await;
    let first = Running::relay(&place).await;
    until("all is on the topic", async || read(&place).await.len() == EVENTS).await;
    first.die();
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    // As if the second relay had begun before anything of it had taken effect.
    sqlx::query("DELETE FROM journal_progress").execute(&place.pool).await.unwrap();
    let second = Running::relay(&place).await;
    until("all is on the topic again", async || read(&place).await.len() == 2 * EVENTS).await;
    until_consumed(&place, "count").await;
    place.assert_once("count", EVENTS).await;
    second.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_is_read_again_changes_nothing() {
    let place = Place::new("repeats-offset").await;
    write(&place).await;
    let relay = Running::relay(&place).await;
    reading_again_changes_nothing(&place, EVENTS).await;
    relay.stop().await;
    place.end().await;
}

/// Consumes so many events twice.
pub async fn reading_again_changes_nothing(place: &Place, events: usize) {
    let consumer = Running::consumer(place, "count").await;
    place.until_effects("count", i64::try_from(events).unwrap()).await;
    until_consumed(place, "count").await;
    consumer.stop().await;
    let before = left_behind(place).await;
    // As if it had died between its commit and its offsets, of the whole topic.
    rewind(place, "count").await;
    assert!(offsets(place, "count").await.iter().all(|(committed, _)| *committed == 0));
    let again = Running::consumer(place, "count").await;
    until_consumed(place, "count").await;
    assert_eq!(left_behind(place).await, before);
    place.assert_once("count", events).await;
    again.stop().await;
}

#[tokio::test]
async fn an_entry_of_which_only_a_part_was_sent_is_sent_again() {
    let place = Place::new("repeats-part").await;
    let fields = counting::entry("ann,bob,cid", 1);
    let time = kit::clock::from_millis(fields["at"].parse().unwrap()).format(&Rfc3339).unwrap();
    let entry = place.write(tag(1), fields).await;
    // All that a relay had sent when it died: progress is that of the whole entry.
    let id = format!("{SERVICE}/1/1/{entry}/0");
    let part = Record::event(tag(1), "ann", 1).with("ce_id", id).with("ce_time", time).with("ce_source", SERVICE);
    Producer::new(&place).send(&[part]).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    assert_eq!(place.number("SELECT count(*) FROM journal_progress").await, 1);
    let relay = Running::relay(&place).await;
    place.until_effects("count", 3).await;
    until_consumed(&place, "count").await;
    place.assert_once("count", 3).await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}
