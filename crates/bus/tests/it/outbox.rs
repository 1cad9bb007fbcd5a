//! The outbox: what a transaction tells reaches Kafka, none without its commit, in order for each key, and takes effect once.

mod child;
mod killed;
mod hours;
mod shares;
mod session;
mod away;
mod again;
mod refused;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bus::outbox::Outbox;
use futures::future::join_all;

use crate::counting::{self, Counting, ECHO, count_up};
use crate::kafka::{read, until_consumed};
use crate::place::{Place, until};
use crate::running::{Differently, Running};

/// How long it may take until somebody else relays what a process had that is gone.
const TAKEOVER: Duration = Duration::from_secs(10);

/// A process that relays the outbox, and does nothing else.
async fn relay(place: &Place, outbox: &Outbox, differently: Differently) -> Running {
    let running = Running::start().await;
    running.add_outbox(place, outbox, differently).await;
    running
}

/// A process that relays the outbox and consumes, as `count`.
async fn whole(place: &Place, outbox: &Outbox) -> Running {
    let running = relay(place, outbox, Differently::default()).await;
    running.add_consumer(place, Counting::new("count")).await;
    running
}

/// Rows that Kafka has not acknowledged.
async fn unsent(place: &Place) -> i64 {
    place.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL").await
}

/// Tells so many events of the largest size, of a hundred keys.
async fn large_events(place: &Place, number: i32) {
    let statement = "INSERT INTO outbox (ce_id, kind, subject, sequence, partition_key, payload)
        SELECT gen_random_uuid(), 'kind', 'large', nth, 'large-' || nth % 100,
          convert_to(repeat(md5(random()::text), 2048), 'UTF8')
        FROM generate_series(1, $1) AS nth";
    sqlx::query(statement).bind(number).execute(&place.pool).await.unwrap();
}

/// How long a transaction stays open after it was given its id: longer than a relay believes that it would.
const LATE: Duration = Duration::from_secs(8);

/// How many events were told by what is committed.
async fn told(place: &Place) -> i64 {
    place.number("SELECT coalesce(sum(version), 0)::bigint FROM counter").await
}

/// Waits until all that was told by what is committed has taken effect as `count`: each event once, and nothing else. Nothing
/// waits in the outbox any more, and the events of each key stand in the topic in their order, whatever stands there again.
async fn assert_told_once(place: &Place, echoed: bool) {
    until("everything is noted", async || unsent(place).await == 0).await;
    until_consumed(place, "count").await;
    if echoed {
        // The last echoes were told by what has just been consumed.
        until("the echoes are noted", async || unsent(place).await == 0).await;
        until_consumed(place, "count").await;
    }
    let counters: Vec<(String, i64)> =
        sqlx::query_as("SELECT subject, version FROM counter").fetch_all(&place.pool).await.unwrap();
    let echoes = counters.iter().filter(|_| echoed).map(|(subject, version)| (format!("{ECHO}{subject}"), *version));
    let subjects: Vec<_> = counters.iter().cloned().chain(echoes).collect();
    let told = subjects.iter().flat_map(|(subject, version)| (1..=*version).map(|nth| ((subject.clone(), nth), 1)));
    let mut effects = BTreeMap::new();
    for effect in place.effects("count").await {
        *effects.entry((effect.subject, effect.sequence)).or_insert(0) += 1;
    }
    let told: BTreeMap<_, _> = told.collect();
    let wrong = told.iter().filter(|(event, _)| effects.get(event) != Some(&1)).collect::<Vec<_>>();
    assert!(wrong.is_empty(), "not once: {wrong:?}");
    let never_told = effects.keys().filter(|event| !told.contains_key(event)).collect::<Vec<_>>();
    assert!(never_told.is_empty(), "without a commit: {never_told:?}");
    assert_in_order(place).await;
}

/// Events of each subject stand in the topic in their order, and none is missing; what stands there again does not count.
async fn assert_in_order(place: &Place) {
    let (mut last, mut seen) = (HashMap::new(), HashSet::new());
    for record in read(place).await {
        if seen.insert(record.id().to_owned()) {
            let (subject, sequence) = (record.headers["ce_subject"].clone(), record.headers["ce_sequence"].parse());
            let sequence: i64 = sequence.unwrap();
            let before = last.insert(subject.clone(), sequence).unwrap_or_default();
            assert_eq!(sequence, before + 1, "{subject}: {sequence} comes after {before}");
        }
    }
}

#[tokio::test]
async fn what_is_told_takes_effect_once_and_in_order() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let place = Place::new("outbox-order").await;
    let outbox = Outbox::default();
    let process = whole(&place, &outbox).await;
    let write = async |writer: usize| {
        for nth in 0..EACH {
            // Some are everybody's, and their locks are waited for.
            count_up(&place.pool, &outbox, &format!("subject-{}", (writer + nth) % 5)).await;
        }
    };
    join_all((0..WRITERS).map(write)).await;
    // What is rolled back is not told.
    let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
    counting::raise(&mut change, "never").await;
    drop(change);

    place.until_effects("count", i64::try_from(WRITERS * EACH).unwrap()).await;
    assert_told_once(&place, false).await;
    place.assert_once("count", WRITERS * EACH).await;
    // Where nothing goes wrong nothing is sent again.
    assert_eq!(read(&place).await.len(), WRITERS * EACH);
    process.stop().await;
    place.end().await;
}

/// Its id was given before those of others, which have long been sent when it can be seen.
#[tokio::test]
async fn what_is_committed_long_after_its_id_was_given_is_found() {
    let place = Place::new("outbox-late").await;
    let outbox = Outbox::default();
    let process = whole(&place, &outbox).await;
    let mut late = kit::postgres::begin(&place.pool).await.unwrap();
    let version = counting::raise(&mut late, "late").await;
    let told = outbox.tell(&mut late, &[counting::told("late", version)]).await.unwrap();
    for _ in 0..LATE.as_secs() {
        count_up(&place.pool, &outbox, "early").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    until("the others are sent", async || unsent(&place).await == 0).await;
    kit::postgres::commit(late).await.unwrap();
    drop(told);
    // What comes later for the same key does not overtake it.
    count_up(&place.pool, &outbox, "late").await;
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}
