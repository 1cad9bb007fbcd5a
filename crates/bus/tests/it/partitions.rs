//! The partitions of the inbox: a day each, made ahead, dropped when Kafka cannot bring anything of that day any more.

use futures::future::join_all;
use time::{Date, Duration};

use crate::kafka::{Producer, Record, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

/// Days that an inbox which is made today reaches back, and ahead.
const BACK: i64 = 8;
const AHEAD: i64 = 3;
/// Days that a partition is kept.
const KEPT: i64 = 10;

/// The days that have a partition.
async fn days(place: &Place) -> Vec<Date> {
    let statement = "SELECT to_date(substr(relname, 7), 'YYYYMMDD') FROM pg_inherits JOIN pg_class ON oid = inhrelid
        WHERE inhparent = 'inbox'::regclass ORDER BY relname";
    sqlx::query_scalar(statement).fetch_all(&place.pool).await.unwrap()
}

/// Today, which does not end within the next half minute.
async fn today() -> Date {
    let now = kit::clock::now();
    let left = (now.date() + Duration::DAY).midnight().assume_utc() - now;
    if left < Duration::seconds(30) {
        tokio::time::sleep(left.unsigned_abs()).await;
    }
    kit::clock::now().date()
}

fn around(today: Date, back: i64) -> Vec<Date> {
    (-back..=AHEAD).map(|day| today + Duration::days(day)).collect()
}

#[tokio::test]
async fn partitions_are_made_ahead_also_by_many_at_once() {
    let place = Place::new("partitions").await;
    let today = today().await;
    assert!(days(&place).await.is_empty());
    Producer::new(&place).send(&[Record::event(tag(1), "subject", 1)]).await;
    let names = ["many-a", "many-b", "many-c", "many-d"];
    let running = join_all(names.map(|name| Running::consumer(&place, name))).await;
    for name in names {
        // The same event, once for each consumer: the inbox knows for whom.
        place.until_effects(name, 1).await;
    }
    assert_eq!(days(&place).await, around(today, BACK));
    // Other tests say so of consumers with other names.
    let failed = ["partitions of the inbox cannot be made", "many-"];
    assert!(!crate::log::has_said(&failed), "one was in the other's way");
    join_all(running.into_iter().map(Running::stop)).await;
    place.end().await;
}

#[tokio::test]
async fn a_partition_is_dropped_after_ten_days_and_what_is_missing_is_made() {
    let place = Place::new("partitions-old").await;
    let today = today().await;
    for days in [KEPT + 2, KEPT + 1, KEPT] {
        let day = today - Duration::days(days);
        let name = format!("inbox_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day());
        let next = day + Duration::DAY;
        let make = format!(
            "CREATE TABLE {name} PARTITION OF inbox FOR VALUES FROM ('{day} 00:00+00') TO ('{next} 00:00+00');
             INSERT INTO inbox VALUES ('count', 'old', '{day} 12:00+00')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&place.pool).await.unwrap();
    }
    let consumer = Running::consumer(&place, "count").await;
    let expected = around(today, KEPT);
    until("the partitions are those of today", async || days(&place).await == expected).await;
    assert_eq!(place.number("SELECT count(*) FROM inbox").await, 1, "what was in it goes with it");
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_partition_is_kept_for_as_long_as_an_event_is_parked_that_may_be_in_it() {
    let place = Place::new("partitions-parked").await;
    let today = today().await;
    for days in [KEPT + 5, KEPT + 4] {
        let day = today - Duration::days(days);
        let name = format!("inbox_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day());
        let next = day + Duration::DAY;
        let make =
            format!("CREATE TABLE {name} PARTITION OF inbox FOR VALUES FROM ('{day} 00:00+00') TO ('{next} 00:00+00')");
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&place.pool).await.unwrap();
    }
    let park = r#"INSERT INTO parked
          (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts, parked_at)
        VALUES ('count', 'key', 'topic', 0, 0, '{}', '', 'cause', 3, now() - interval '4 days')"#;
    sqlx::query(park).execute(&place.pool).await.unwrap();
    let consumer = Running::consumer(&place, "count").await;
    let expected = around(today, KEPT + 4);
    until("the partitions are those of four days ago and since", async || days(&place).await == expected).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_day_that_goes_while_a_consumer_runs_is_too_old_to_it_and_holds_up_nothing() {
    let place = Place::new("partitions-gone").await;
    let consumer = Running::consumer(&place, "count").await;
    let producer = Producer::new(&place);
    producer.send(&[Record::event(tag(2), "first", 1)]).await;
    until_consumed(&place, "count").await;
    let oldest = days(&place).await[0];
    let name = format!("inbox_{:04}{:02}{:02}", oldest.year(), u8::from(oldest.month()), oldest.day());
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&place.pool).await.unwrap();
    let time = format!("{oldest}T12:00:00Z");
    producer.send(&[Record::event(tag(2), "late", 1).with("ce_time", time), Record::event(tag(2), "behind", 1)]).await;
    until_consumed(&place, "count").await;
    let parked = place.parked("count").await;
    assert!(parked.len() == 1 && parked[0].parking_key == "late" && parked[0].cause.contains("TOO_OLD"), "{parked:?}");
    place.assert_once("count", 2).await;
    consumer.stop().await;
    place.end().await;
}
