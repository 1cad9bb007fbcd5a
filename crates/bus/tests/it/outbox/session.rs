//! The session of a relay: it is cut off, goes silent, is late, or is not the same any more. Nothing is lost, and nothing has a
//! second effect.

use std::net::SocketAddr;
use std::time::Duration;

use bus::outbox::Outbox;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use trial::chaos::Proxy;

use super::{assert_told_once, large_events, relay, unsent, whole};
use crate::counting::{self, count_up};
use crate::kafka::read;
use crate::place::{Place, seed, until, within};
use crate::running::{Differently, Running};

/// Large events that wait at once: 75 MB.
const LARGE: i32 = 1_200;
/// What happens to the connection, one after the other.
const FAULTS: [fn(&Proxy); 6] = [
    Proxy::cut,
    Proxy::one_way,
    |proxy| proxy.delay(Duration::from_millis(300)),
    Proxy::half_open,
    |proxy| proxy.delay(Duration::from_secs(4)),
    Proxy::cut,
];

async fn before_postgres(place: &Place) -> Proxy {
    let postgres = kit::postgres::options(&place.servers, counting::SERVICE).unwrap().get_port();
    Proxy::start(SocketAddr::from(([127, 0, 0, 1], postgres))).await
}

#[tokio::test]
async fn a_connection_that_is_cut_late_or_silent_loses_nothing() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("outbox-session").await;
    let (outbox, consumer) = (Outbox::default(), Running::consumer(&place, "count").await);
    let proxy = before_postgres(&place).await;
    let lease_port = Some(proxy.addr().port());
    let process = relay(&place, &outbox, Differently { lease_port, ..Differently::default() }).await;
    let faults = async {
        for fault in FAULTS {
            tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;
            fault(&proxy);
            tokio::time::sleep(Duration::from_millis(rng.random_range(100..1_500))).await;
            proxy.heal();
        }
    };
    let write = async {
        for nth in 0..400 {
            count_up(&place.pool, &outbox, &format!("subject-{}", nth % 30)).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    tokio::join!(faults, write);
    assert_told_once(&place, false).await;
    process.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_way_that_is_long_and_narrow_brings_also_large_events() {
    let place = Place::new("outbox-narrow").await;
    let outbox = Outbox::default();
    let proxy = before_postgres(&place).await;
    // A proxy that is late holds a megabyte back, and no more: twenty megabytes a second pass.
    proxy.delay(Duration::from_millis(50));
    let lease_port = Some(proxy.addr().port());
    let process = relay(&place, &outbox, Differently { lease_port, ..Differently::default() }).await;
    large_events(&place, LARGE).await;
    within(Duration::from_secs(60), "all of it is sent", async || unsent(&place).await == 0).await;
    process.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_relay_whose_session_has_lost_its_locks_says_so_and_begins_anew() {
    let place = Place::new("outbox-pooler").await;
    let outbox = Outbox::default();
    let process = whole(&place, &outbox).await;
    // A pooler that gives its session to somebody else cleans it up before: all locks are gone, and the connection lives on.
    let clean = "CREATE TABLE given_away (often int NOT NULL); INSERT INTO given_away VALUES (0);
        CREATE FUNCTION give_away() RETURNS trigger LANGUAGE plpgsql AS '
          BEGIN
            UPDATE given_away SET often = often + 1 WHERE often < 2;
            IF FOUND THEN PERFORM pg_advisory_unlock_all(); END IF;
            RETURN NULL;
          END';
        CREATE TRIGGER give_away AFTER UPDATE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION give_away()";
    sqlx::raw_sql(clean).execute(&place.pool).await.unwrap();
    let given_away = async || place.number("SELECT often::bigint FROM given_away").await;
    let mut written = 0;
    while given_away().await < 2 {
        written += 1;
        count_up(&place.pool, &outbox, &format!("subject-{}", written % 5)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("it says what is wrong", async || {
        crate::log::has_said(&["the relay begins anew", "does not hold its locks", "outbox members", "a pooler"])
    })
    .await;
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_session_that_postgres_ends_is_followed_by_another() {
    let place = Place::new("outbox-ended").await;
    let outbox = Outbox::default();
    let process = whole(&place, &outbox).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT DISTINCT pid FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS session";
    for _ in 0..3 {
        for nth in 0..20 {
            count_up(&place.pool, &outbox, &format!("subject-{}", nth % 5)).await;
        }
        assert!(place.number(end).await <= 2, "the relay, and perhaps what keeps the partitions");
        until("all of it is sent", async || unsent(&place).await == 0).await;
    }
    assert_told_once(&place, false).await;
    assert!(read(&place).await.len() >= 60);
    process.stop().await;
    place.end().await;
}
