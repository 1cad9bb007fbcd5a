//! The inbox reaches so far back and so far ahead. What is outside could not be recognised when it comes again: it is parked.

use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime};

use crate::kafka::{Producer, Record, until_consumed};
use crate::place::{Place, tag};
use crate::running::Running;

/// From the first instant that the inbox of this place holds to the first that it does not.
async fn span(place: &Place) -> (OffsetDateTime, OffsetDateTime) {
    let days: Vec<Date> = sqlx::query_scalar(
        "SELECT to_date(substr(relname, 7), 'YYYYMMDD') FROM pg_inherits JOIN pg_class ON oid = inhrelid
         WHERE inhparent = 'inbox'::regclass ORDER BY relname",
    )
    .fetch_all(&place.pool)
    .await
    .unwrap();
    let midnight = |day: &Date| day.midnight().assume_utc();
    (midnight(days.first().unwrap()), midnight(days.last().unwrap()) + Duration::DAY)
}

fn at(subject: &str, sequence: i64, time: OffsetDateTime) -> Record {
    Record::event(tag(4), subject, sequence).with("ce_time", time.format(&Rfc3339).unwrap())
}

/// A place whose inbox has been made, and what it reaches.
async fn prepared(name: &str) -> (Place, OffsetDateTime, OffsetDateTime) {
    let place = Place::new(name).await;
    let maker = Running::consumer(&place, "count").await;
    crate::place::until("the inbox is made", async || {
        place.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'inbox'::regclass").await > 0
    })
    .await;
    maker.stop().await;
    let (from, to) = span(&place).await;
    (place, from, to)
}

#[tokio::test]
async fn what_the_inbox_does_not_reach_is_parked() {
    let (place, from, to) = prepared("span").await;
    let (instant, tick) = (Duration::NANOSECOND, Duration::MICROSECOND);
    let inside = [("first", from), ("first-tick", from + tick), ("last-tick", to - tick), ("last", to - instant)];
    let ahead = [("ahead", to), ("far-ahead", to + Duration::DAY * 400)];
    let old = [("old", from - instant), ("very-old", OffsetDateTime::UNIX_EPOCH)];
    let records = inside.iter().chain(&ahead).chain(&old).map(|(subject, time)| at(subject, 1, *time));
    let extremes = [("extreme-ahead", "9999-12-31T23:59:59-23:59"), ("extreme-old", "0000-01-01T00:00:00+23:59")];
    let extremes = extremes.map(|(subject, time)| Record::event(tag(4), subject, 1).with("ce_time", time));
    Producer::new(&place).send(&records.chain(extremes).collect::<Vec<_>>()).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    let effects = place.effects("count").await;
    assert_eq!(effects.iter().map(|effect| effect.subject.as_str()).collect::<Vec<_>>(), inside.map(|(name, _)| name));
    let parked = place.parked("count").await;
    let causes = parked.iter().map(|parked| {
        let cause = parked.cause.split(':').next().unwrap_or_default();
        (parked.parking_key.as_str(), cause)
    });
    let expected = [
        ("ahead", "TIME_AHEAD"),
        ("far-ahead", "TIME_AHEAD"),
        ("old", "TOO_OLD"),
        ("very-old", "TOO_OLD"),
        ("extreme-ahead", "TIME_AHEAD"),
        ("extreme-old", "TOO_OLD"),
    ];
    assert_eq!(causes.collect::<Vec<_>>(), expected);
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_comes_behind_an_event_that_is_ahead_is_parked_too() {
    let (place, _, to) = prepared("span-behind").await;
    // In one batch, and in another one.
    let producer = Producer::new(&place);
    producer.send(&[at("subject", 1, to), Record::event(tag(4), "subject", 2)]).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    producer.send(&[Record::event(tag(4), "subject", 3), Record::event(tag(4), "other", 1)]).await;
    until_consumed(&place, "count").await;
    let effects = place.effects("count").await;
    assert_eq!(effects.iter().map(|effect| effect.subject.as_str()).collect::<Vec<_>>(), ["other"]);
    assert_eq!(place.parked("count").await.len(), 3);
    consumer.stop().await;
    place.end().await;
}
