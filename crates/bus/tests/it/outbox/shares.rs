//! Several relays share the outbox: each has its part, who joins is given some, and what one had who is gone is taken by the rest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::outbox::Outbox;
use futures::future::join_all;

use super::{TAKEOVER, assert_told_once, child, large_events, relay, told, unsent};
use crate::counting::count_up;
use crate::kafka::read;
use crate::place::{Place, until, within};
use crate::running::{Differently, Running};

/// Hash partitions of the outbox.
const SLOTS: i64 = 16;
/// The sessions that hold the locks of hash partitions, and how many each.
const HELD: &str = "SELECT pid, count(*) FROM pg_locks
    JOIN lease ON starts_with(name, 'outbox/') AND objid = (hashtext(name)::bigint & 4294967295)::oid
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY pid ORDER BY 2";

/// How many hash partitions each session owns, the smallest share first.
async fn held(place: &Place) -> Vec<i64> {
    let held: Vec<(i32, i64)> = sqlx::query_as(HELD).fetch_all(&place.pool).await.unwrap();
    held.into_iter().map(|(_, slots)| slots).collect()
}

/// How many hash partitions were taken last by this process, and how many in all by each.
async fn taken_by(place: &Place, pid: u32) -> i64 {
    let statement = "SELECT count(*) FROM lease WHERE starts_with(name, 'outbox/') AND holder LIKE '%:' || $1";
    sqlx::query_scalar(statement).bind(pid.to_string()).fetch_one(&place.pool).await.unwrap()
}

/// Writes until it is over.
async fn flow(place: &Place, outbox: &Outbox, over: &AtomicBool) {
    let writer = async |number: usize| {
        for nth in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            count_up(&place.pool, outbox, &format!("subject-{}", (number + nth) % 40)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    join_all((0..2).map(writer)).await;
}

#[tokio::test]
async fn the_parts_are_shared_and_handed_over_and_nothing_is_sent_twice_where_nobody_dies() {
    let place = Place::new("outbox-shares").await;
    let (outbox, over) = (Outbox::default(), AtomicBool::new(false));
    let add = async || relay(&place, &outbox, Differently::default()).await;
    let shares = async |expected: &[i64]| {
        until(&format!("the shares are {expected:?}"), async || held(&place).await == expected).await;
    };
    let first = add().await;
    shares(&[16]).await;
    let come_and_go = async {
        let second = add().await;
        shares(&[8, 8]).await;
        let third = add().await;
        shares(&[4, 6, 6]).await;
        first.stop().await;
        shares(&[8, 8]).await;
        over.store(true, Ordering::Relaxed);
        [second, third]
    };
    let ([second, third], ()) = tokio::join!(come_and_go, flow(&place, &outbox, &over));
    until("everything is noted", async || unsent(&place).await == 0).await;
    // Two who relay the same part would have sent it twice.
    let sent = i64::try_from(read(&place).await.len()).unwrap();
    assert_eq!(sent, told(&place).await);

    over.store(false, Ordering::Relaxed);
    let dies = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        second.die();
        within(TAKEOVER, "the rest owns all", async || held(&place).await == [SLOTS]).await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(dies, flow(&place, &outbox, &over));
    let consumer = Running::consumer(&place, "count").await;
    assert_told_once(&place, false).await;
    consumer.stop().await;
    third.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_a_paused_process_had_is_relayed_by_another_and_when_it_wakes_it_does_no_harm() {
    let place = Place::new("outbox-paused").await;
    let (outbox, over) = (Outbox::default(), AtomicBool::new(false));
    let mut paused = child::program(&place, "relay").start().await;
    let mut awake = child::program(&place, "relay").start().await;
    let pids = [paused.pid().unwrap(), awake.pid().unwrap()];
    let half = async |pid| taken_by(&place, pid).await == SLOTS / 2;
    until("they share", async || half(pids[0]).await && half(pids[1]).await && held(&place).await == [8, 8]).await;
    let consumer = Running::consumer(&place, "count").await;
    let pause = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        paused.signal("STOP").await;
        within(TAKEOVER, "the other one relays all", async || taken_by(&place, pids[1]).await == SLOTS).await;
        // It has waited for as long as the session of the paused one lived, which was silent.
        until("what waited is sent", async || unsent(&place).await < 10).await;
        paused.signal("CONT").await;
        until("they share again", async || half(pids[0]).await && held(&place).await == [8, 8]).await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(pause, flow(&place, &outbox, &over));
    assert_told_once(&place, false).await;
    let sent: HashMap<_, _> = read(&place).await.into_iter().map(|record| (record.id().to_owned(), ())).collect();
    assert_eq!(i64::try_from(sent.len()).unwrap(), told(&place).await);
    assert_eq!([paused.stop().await, awake.stop().await], [Some(0), Some(0)]);
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_process_that_is_paused_while_it_reads_and_sends_much_is_followed_as_soon() {
    let place = Place::new("outbox-paused-read").await;
    let outbox = Outbox::default();
    let mut child = child::program(&place, "relay").start().await;
    until("it owns all", async || held(&place).await == [SLOTS]).await;
    // So much that it is in the middle of it.
    large_events(&place, 1_500).await;
    until("some of it is sent", async || unsent(&place).await < 1_500).await;
    child.signal("STOP").await;
    let pid = "SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let pid: i32 = sqlx::query_scalar(pid).fetch_one(&place.pool).await.unwrap();
    let other = relay(&place, &outbox, Differently::default()).await;
    within(TAKEOVER, "another one owns all", async || {
        let held: Vec<(i32, i64)> = sqlx::query_as(HELD).fetch_all(&place.pool).await.unwrap();
        matches!(held.as_slice(), [(other, SLOTS)] if *other != pid)
    })
    .await;
    until("all of it is sent", async || unsent(&place).await == 0).await;
    child.signal("CONT").await;
    until("they share", async || held(&place).await == [8, 8]).await;
    child.stop().await;
    other.stop().await;
    place.end().await;
}
