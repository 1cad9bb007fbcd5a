//! A span of a topic goes through a consumer once more: known events stay what they are, lost ones take effect, and neither the
//! consumer's group nor the journals learn of it.

use bus::consumer::replay::{Order, PER_SECOND_MOST, Replay, Taken};
use time::OffsetDateTime;

use crate::counting::{self, BREAKS, Counting};
use crate::kafka::{Producer, Record, offsets, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

fn order(from: Option<OffsetDateTime>, to: Option<OffsetDateTime>) -> Order {
    Order { topic: bus::topic::name(counting::SERVICE), from, to, per_second: PER_SECOND_MOST }
}

async fn begin(place: &Place, order: &Order) -> Replay {
    let consumer = counting::consumer(Counting::new("count"));
    Replay::begin(&place.servers, place.pool.clone(), consumer, order).await.unwrap()
}

async fn run(mut replay: Replay) -> Taken {
    let mut taken = Taken::default();
    while let Some(step) = replay.step().await.unwrap() {
        taken += step;
    }
    assert_eq!(replay.reached(), None, "nothing is left");
    taken
}

async fn replay(place: &Place) -> Taken {
    run(begin(place, &order(None, None)).await).await
}

/// An instant that lies between what was sent before and what is sent after it, by everybody's clock.
async fn mark() -> OffsetDateTime {
    let pause = std::time::Duration::from_millis(50);
    tokio::time::sleep(pause).await;
    let now = kit::clock::now();
    tokio::time::sleep(pause).await;
    now
}

#[tokio::test]
async fn what_is_older_than_the_inbox_reaches_is_left_alone_and_not_parked() {
    let place = Place::new("replay-old").await;
    let old = Record::event(tag(1), "old", 1).with("ce_time", "2020-01-31T10:00:00Z");
    let records = [old, Record::event(tag(1), "old", 2), Record::event(tag(1), "poison", 1).carrying(BREAKS)];
    Producer::new(&place).send(&records).await;
    // Nobody has consumed yet: what is known to nobody takes effect, and poison is parked.
    let expected = Taken { first: 1, again: 0, parked: 1, skipped: 1, passed: 0 };
    assert_eq!(replay(&place).await, expected);
    let keys = async || place.parked("count").await.into_iter().map(|parked| parked.parking_key).collect::<Vec<_>>();
    assert_eq!(keys().await, ["poison"]);
    assert!(offsets(&place, "count").await.iter().all(|(committed, _)| *committed == 0), "the group knows of nothing");

    // The consumer itself still parks it.
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    assert_eq!(keys().await, ["poison", "old"]);
    for _ in 0..2 {
        assert_eq!(replay(&place).await, Taken { first: 0, again: 1, ..expected });
    }
    assert_eq!(keys().await, ["poison", "old"]);
    place.assert_once("count", 1).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_span_begins_with_its_first_instant_and_ends_before_its_last() {
    let place = Place::new("replay-span").await;
    let producer = Producer::new(&place);
    let send = async |name: &str| {
        let records: Vec<_> = (0..20).map(|number| Record::event(tag(number), name, number.into())).collect();
        producer.send(&records).await;
    };
    send("before").await;
    let from = mark().await;
    send("within").await;
    let to = mark().await;
    send("after").await;
    let within = begin(&place, &order(Some(from), Some(to))).await;
    assert_eq!((within.total(), within.reached()), (20, Some(from)));
    assert_eq!(run(within).await.first, 20);
    assert!(place.effects("count").await.iter().all(|effect| effect.subject == "within"));
    let rest = begin(&place, &order(Some(to), None)).await;
    // What comes now is no part of it.
    send("later").await;
    assert_eq!(run(rest).await.first, 20);
    assert_eq!(
        run(begin(&place, &order(None, Some(to))).await).await,
        Taken { first: 20, again: 20, ..Taken::default() }
    );
    let ahead = kit::clock::now() + time::Duration::DAY;
    assert_eq!(run(begin(&place, &order(Some(ahead), None)).await).await, Taken::default());
    place.assert_once("count", 60).await;
    place.end().await;
}

#[tokio::test]
async fn a_replay_says_nothing_of_the_journals() {
    let place = Place::new("replay-journal").await;
    let relay = Running::relay(&place).await;
    place.write_many(tag(3), "subject", 1, 5).await;
    let begun = kit::clock::now();
    until("they lie on the topic", async || {
        assert!(kit::clock::now() - begun < time::Duration::MINUTE);
        crate::kafka::read(&place).await.len() == 5
    })
    .await;
    assert_eq!(replay(&place).await.first, 5);
    assert_eq!(place.number("SELECT count(*) FROM journal_progress").await, 0);
    assert_eq!(place.length(tag(3)).await, 5, "the consumer may not have come so far");
    relay.stop().await;
    place.end().await;
}

#[tokio::test]
async fn beside_the_consumer_each_event_takes_effect_once() {
    const EVENTS: i64 = 1_500;
    let place = Place::new("replay-beside").await;
    let producer = Producer::new(&place);
    let records: Vec<_> = (0..EVENTS)
        .map(|number| {
            let record =
                Record::event(tag(u16::try_from(number % 16).unwrap()), &format!("s-{}", number % 100), number);
            if number % 97 == 0 { record.carrying(BREAKS) } else { record }
        })
        .collect();
    producer.send(&records).await;
    let consumer = Running::consumer(&place, "count").await;
    let (one, two) = tokio::join!(replay(&place), replay(&place));
    until_consumed(&place, "count").await;
    for taken in [one, two] {
        assert_eq!(taken.first + taken.again + taken.parked, EVENTS.unsigned_abs(), "{taken:?}");
    }
    let parked = place.parked("count").await.len();
    place.assert_once("count", records.len() - parked).await;
    assert!(parked >= 16, "{parked}");
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_replay_keeps_its_rate_and_can_be_ended_and_taken_up_again() {
    let place = Place::new("replay-rate").await;
    let producer = Producer::new(&place);
    for number in 0..12 {
        producer.send(&[Record::event(tag(1), "subject", number)]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let slow = Order { per_second: 4, ..order(None, None) };
    let begun = tokio::time::Instant::now();
    let mut replay = begin(&place, &slow).await;
    let mut first = 0;
    for _ in 0..2 {
        first += replay.step().await.unwrap().unwrap().first;
    }
    let reached = replay.reached().unwrap();
    let step = tokio::time::timeout(std::time::Duration::from_millis(100), replay.step()).await;
    assert!(step.is_err(), "the third has to wait");
    drop(replay);
    assert!(first <= 8 && first > 1, "{first}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    let rest = run(begin(&place, &order(Some(reached), None)).await).await;
    // The last one that was taken comes again.
    assert_eq!(rest, Taken { first: 12 - first, again: 1, ..Taken::default() });
    place.assert_once("count", 12).await;
    place.end().await;
}

#[tokio::test]
async fn where_too_much_is_parked_a_replay_ends_and_what_is_parked_already_ends_none() {
    let place = Place::new("replay-limit").await;
    let fill = r#"INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
        SELECT 'count', 'key-' || n, 'elsewhere', 0, n, '{}', '', 'filled', 1 FROM generate_series(1, 9999) AS n"#;
    sqlx::query(fill).execute(&place.pool).await.unwrap();
    let producer = Producer::new(&place);
    producer.send(&[Record::event(tag(1), "last-that-fits", 1).carrying(BREAKS)]).await;
    for _ in 0..2 {
        assert_eq!(replay(&place).await, Taken { parked: 1, ..Taken::default() });
    }
    producer.send(&[Record::event(tag(1), "one-too-many", 1).carrying(BREAKS)]).await;
    let ended = begin(&place, &order(None, None)).await.step().await.unwrap_err();
    assert!(format!("{ended:#}").contains("10000 events are parked, which is the limit"), "{ended:#}");
    assert_eq!(place.parked("count").await.len(), 10_000);
    place.end().await;
}
