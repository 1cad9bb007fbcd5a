//! The partitions of the outbox: an hour each, made ahead, dropped as a whole once nobody writes into them any more and all of it
//! was sent. What keeps them looks when a process starts.

use std::time::Duration;

use bus::outbox::Outbox;
use kit::postgres::Tx;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use super::{assert_told_once, relay, unsent, whole};
use crate::counting::{self, COUNTED, count_up};
use crate::door::Door;
use crate::place::{Place, until};
use crate::running::{Differently, Running};

/// How often it is tried to meet somebody while he waits for a lock, which he does for 200 ms.
const TRIES: usize = 10;

/// A partition that is over for hours.
struct Old {
    name: String,
    /// An instant in it.
    within: OffsetDateTime,
}

/// Makes one, as it would have been made so many hours ago.
async fn old(place: &Place, hours: i64) -> Old {
    let begin = (kit::clock::now().unix_timestamp() / 3_600 - hours) * 3_600;
    let within = OffsetDateTime::from_unix_timestamp(begin + 1_800).unwrap();
    let (year, month, day, hour) = (within.year(), u8::from(within.month()), within.day(), within.hour());
    let name = format!("outbox_{year:04}{month:02}{day:02}{hour:02}");
    let make = format!(
        "CREATE TABLE {name} PARTITION OF outbox FOR VALUES FROM (to_timestamp({begin})) TO (to_timestamp({begin} + 3600))"
    );
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&place.pool).await.unwrap();
    Old { name, within }
}

impl Old {
    /// Counts up and tells it, as a transaction did that wrote at that time.
    async fn write(&self, tx: &mut Tx, subject: &str) {
        let version = counting::raise(tx, subject).await;
        let statement = "INSERT INTO outbox (ce_id, kind, subject, sequence, partition_key, payload, happened_at)
             VALUES ($1, $2, $3, $4, $3, convert_to($3 || ' ' || $4, 'UTF8'), $5)";
        let query = sqlx::query(statement).bind(uuid::Uuid::now_v7()).bind(COUNTED).bind(subject).bind(version);
        query.bind(self.within).execute(&mut **tx).await.unwrap();
    }

    async fn is_there(&self, place: &Place) -> bool {
        let statement = "SELECT to_regclass($1) IS NOT NULL";
        sqlx::query_scalar(statement).bind(&self.name).fetch_one(&place.pool).await.unwrap()
    }

    /// A process that has started has said this of it.
    async fn until_said(&self, what: &str) {
        let begin = self.within - Duration::from_secs(1_800);
        let begin = begin.to_string();
        until(what, async || crate::log::has_said(&[what, &begin])).await;
    }
}

/// A process whose relay does not reach Kafka.
async fn relay_without_kafka(place: &Place, outbox: &Outbox) -> Running {
    let kafka_brokers = Some("127.0.0.1:1".to_owned());
    relay(place, outbox, Differently { kafka_brokers, ..Differently::default() }).await
}

#[tokio::test]
async fn a_partition_is_dropped_when_nobody_writes_into_it_and_all_of_it_was_sent_and_not_before() {
    let place = Place::new("outbox-hours").await;
    let (outbox, old) = (Outbox::default(), old(&place, 50).await);
    // It has begun long ago, and is not over.
    let mut writer = place.pool.begin().await.unwrap();
    old.write(&mut writer, "late").await;
    let first = relay_without_kafka(&place, &outbox).await;
    // Whoever comes after waits as long as he who wants to drop it, and he gives up in a moment.
    let hasty = async {
        let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
        sqlx::query("SET LOCAL lock_timeout = '2500ms'").execute(&mut **change).await.unwrap();
        let version = counting::raise(&mut change, "hasty").await;
        change.commit(&[counting::told("hasty", version)]).await.unwrap();
    };
    let others = async {
        for _ in 0..100 {
            count_up(&place.pool, &outbox, "other").await;
        }
    };
    tokio::join!(hasty, others, old.until_said("is in use, and is dropped later"));
    assert!(old.is_there(&place).await, "somebody writes into it");
    writer.commit().await.unwrap();

    let second = relay_without_kafka(&place, &outbox).await;
    old.until_said("is over, and not all of it was sent").await;
    assert!(old.is_there(&place).await, "not all of it was sent");
    first.stop().await;
    second.stop().await;
    let third = whole(&place, &outbox).await;
    assert_told_once(&place, false).await;
    third.stop().await;
    let fourth = whole(&place, &outbox).await;
    until("it is dropped", async || !old.is_there(&place).await).await;
    assert_eq!(unsent(&place).await, 0);
    fourth.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_is_committed_while_somebody_waits_to_drop_its_partition_is_not_dropped() {
    let place = Place::new("outbox-hours-lock").await;
    let (outbox, old) = (Outbox::default(), old(&place, 60).await);
    let waits = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut met = 0;
    for _ in 0..TRIES {
        let mut writer = place.pool.begin().await.unwrap();
        old.write(&mut writer, "late").await;
        // What stands in the way of a drop is committed as soon as the other one waits for it.
        let mut waiting = place.pool.acquire().await.unwrap();
        let meet = async {
            let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
            while tokio::time::Instant::now() < deadline {
                if sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut *waiting).await.unwrap() > 0 {
                    return 1;
                }
            }
            0
        };
        let (process, seen) = tokio::join!(relay_without_kafka(&place, &outbox), meet);
        writer.commit().await.unwrap();
        met += seen;
        process.stop().await;
        assert!(old.is_there(&place).await, "an event is lost");
        if met == 2 {
            break;
        }
    }
    assert!(met > 0, "nobody ever waited to drop it");
    let process = whole(&place, &outbox).await;
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}

#[tokio::test]
async fn partitions_are_made_while_somebody_writes_and_nobody_waits_for_him() {
    let place = Place::new("outbox-hours-made").await;
    let outbox = Outbox::default();
    let made = async || place.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox'::regclass").await;
    relay(&place, &outbox, Differently::default()).await.stop().await;
    let number = made().await;
    let last = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'outbox'::regclass";
    let last: String = sqlx::query_scalar(last).fetch_one(&place.pool).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {last}"))).execute(&place.pool).await.unwrap();

    let mut slow = outbox.begin::<()>(&place.pool).await.unwrap();
    let version = counting::raise(&mut slow, "slow").await;
    sqlx::query("LOCK TABLE outbox IN ROW EXCLUSIVE MODE").execute(&mut **slow).await.unwrap();
    // It starts, which it could not without them.
    let process = whole(&place, &outbox).await;
    assert!(made().await >= number, "what is missing is made");
    count_up(&place.pool, &outbox, "other").await;
    slow.commit(&[counting::told("slow", version)]).await.unwrap();
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_row_that_no_topic_takes_is_parked_and_its_partition_can_be_dropped() {
    let place = Place::new("outbox-hours-parked").await;
    let (outbox, old) = (Outbox::default(), old(&place, 70).await);
    // As if an operator had thought that more is better.
    let more = "ALTER TABLE outbox DROP CONSTRAINT outbox_payload_check";
    sqlx::raw_sql(more).execute(&place.pool).await.unwrap();
    let mut tx = place.pool.begin().await.unwrap();
    let large = "INSERT INTO outbox (ce_id, kind, subject, sequence, partition_key, payload, happened_at)
         VALUES (gen_random_uuid(), $1, 'large', 1, 'late', convert_to(repeat('x', 1000000), 'UTF8'), $2)";
    old.write(&mut tx, "late").await;
    sqlx::query(large).bind(COUNTED).bind(old.within).execute(&mut *tx).await.unwrap();
    old.write(&mut tx, "late").await;
    tx.commit().await.unwrap();
    // Whoever parked it died before he took it out: it is parked once.
    let door = Door::before_kafka(&place.servers).await;
    let first =
        relay(&place, &outbox, Differently { kafka_brokers: Some(door.address()), ..Differently::default() }).await;
    count_up(&place.pool, &outbox, "other").await;
    until("it is parked", async || place.parked("promotion.relay").await.len() == 1).await;
    first.die();
    let second = whole(&place, &outbox).await;
    assert_told_once(&place, false).await;
    let parked = place.parked("promotion.relay").await;
    let [large] = parked.as_slice() else { panic!("{parked:?}") };
    assert!(large.payload.len() == 1_000_000 && large.cause.contains("more than a topic takes"), "{}", large.cause);
    assert_eq!((large.topic.as_str(), &large.headers["ce_subject"]), ("outbox", &serde_json::json!("large")));
    second.stop().await;
    let third = whole(&place, &outbox).await;
    until("it is dropped", async || !old.is_there(&place).await).await;
    assert_eq!(place.parked("promotion.relay").await.len(), 1, "what is parked stays");
    third.stop().await;
    place.end().await;
}
