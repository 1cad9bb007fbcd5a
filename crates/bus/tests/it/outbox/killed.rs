//! kill -9 of a process that writes, relays and consumes: whatever it was doing, each event that was committed takes effect once.

use std::time::Duration;

use bus::outbox::Outbox;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{assert_told_once, child, told, unsent, whole};
use crate::counting::{Counting, count_up};
use crate::door::Door;
use crate::kafka::{offsets, read, until_consumed};
use crate::place::{Place, seed, until};
use crate::running::{Differently, Running};

/// Events of the tests that kill at one certain moment.
const EVENTS: i64 = 20;

/// How often a process is killed: `BOOSTER_TEST_FULL=1` makes it a minute.
fn kills() -> usize {
    if std::env::var("BOOSTER_TEST_FULL").is_ok() { 40 } else { 6 }
}

/// Whoever does what the trigger is on waits for as long as the test holds this lock.
async fn hold(place: &Place, trigger: &str) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
    let make = format!(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END';
         CREATE TRIGGER wait {trigger} EXECUTE FUNCTION wait()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&place.pool).await.unwrap();
    let mut held = place.pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(4711)").execute(&mut *held).await.unwrap();
    held
}

/// How many wait for that lock.
async fn waiting(place: &Place) -> i64 {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    place.number(waiting).await
}

async fn let_go(mut held: sqlx::pool::PoolConnection<sqlx::Postgres>) {
    sqlx::query("SELECT pg_advisory_unlock(4711)").execute(&mut *held).await.unwrap();
}

#[tokio::test]
async fn at_random_moments_everything_that_was_committed_takes_effect_once() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("outbox-killed").await;
    let mut children = Vec::new();
    for _ in 0..2 {
        children.push(child::program(&place, "write relay consume echo").start().await);
    }
    for _ in 0..kills() {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..1_200))).await;
        let child = &mut children[rng.random_range(0..2)];
        child.kill9().await;
        child.start_again().await;
    }
    // The last ones die together, with whatever they had in hand.
    for child in &mut children {
        child.kill9().await;
    }
    assert!(told(&place).await > 100, "hardly anything was written");
    let outbox = Outbox::default();
    let rest = Running::start().await;
    rest.add_outbox(&place, &outbox, Differently::default()).await;
    rest.add_consumer(&place, Counting { echo: Some(outbox.clone()), ..Counting::new("count") }).await;
    assert_told_once(&place, true).await;
    assert!(place.parked("count").await.is_empty());
    rest.stop().await;
    place.end().await;
}

#[tokio::test]
async fn between_the_acknowledgement_and_its_note_everything_is_sent_again_and_takes_effect_once() {
    let place = Place::new("outbox-killed-mark").await;
    let outbox = Outbox::default();
    let mut child = child::program(&place, "relay").start().await;
    let held = hold(&place, "BEFORE UPDATE ON outbox FOR EACH STATEMENT").await;
    for nth in 0..EVENTS {
        count_up(&place.pool, &outbox, &format!("subject-{}", nth % 3)).await;
    }
    until("somebody is held", async || waiting(&place).await > 0).await;
    child.kill9().await;
    let sent = read(&place).await.len();
    assert!(sent > 0, "Kafka has acknowledged what could not be noted");
    assert_eq!(unsent(&place).await, EVENTS, "nothing is noted");
    // PostgreSQL does not see that nobody listens any more, and would still note it; its patience is three seconds.
    until("its last statement is over", async || waiting(&place).await == 0).await;
    let_go(held).await;
    let rest = whole(&place, &outbox).await;
    assert_told_once(&place, false).await;
    assert!(read(&place).await.len() >= usize::try_from(EVENTS).unwrap() + sent, "it was sent again");
    rest.stop().await;
    place.end().await;
}

#[tokio::test]
async fn of_the_consumer_between_its_commit_and_its_offset_nothing_takes_effect_again() {
    let place = Place::new("outbox-killed-offset").await;
    let outbox = Outbox::default();
    let relay = super::relay(&place, &outbox, Differently::default()).await;
    let door = Door::before_kafka(&place.servers).await;
    let kafka = [("BOOSTER_KAFKA_BROKERS".to_owned(), door.address())];
    let mut child = child::program(&place, "consume").envs(kafka).start().await;
    count_up(&place.pool, &outbox, "first").await;
    place.until_effects("count", 1).await;
    until_consumed(&place, "count").await;
    let held = hold(&place, "BEFORE INSERT ON effect FOR EACH STATEMENT").await;
    for _ in 0..EVENTS {
        count_up(&place.pool, &outbox, "subject").await;
    }
    until("somebody is held", async || waiting(&place).await > 0).await;
    // It has read them, writes what they do, and cannot tell Kafka.
    door.silence();
    let_go(held).await;
    until("something more has taken effect", async || place.effects("count").await.len() > 1).await;
    child.kill9().await;
    let behind = offsets(&place, "count").await.iter().any(|(committed, end)| committed < end);
    assert!(behind, "Kafka does not know how far it had come");
    let rest = Running::consumer(&place, "count").await;
    assert_told_once(&place, false).await;
    rest.stop().await;
    relay.stop().await;
    place.end().await;
}
