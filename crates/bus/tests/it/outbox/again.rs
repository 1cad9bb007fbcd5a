//! What came out of the outbox comes again: three times and in disorder, from the start of the topic, to consumers that come and go,
//! and with poison in it.

use bus::dead_letter::Filter;
use bus::outbox::Outbox;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{assert_told_once, relay, unsent};
use crate::counting::{self, BREAKS, count_up};
use crate::kafka::{Lying, Record, read, skip, until_consumed};
use crate::place::{Place, seed, until};
use crate::running::Differently;
use crate::{rebalance, repair, repeats, shuffle};

/// Counts up, and waits until everything is on the topic, which nobody consumes yet.
async fn told_by_outbox(place: &Place, subjects: i64, changes: i64) -> Vec<Record> {
    let outbox = Outbox::default();
    let process = relay(place, &outbox, Differently::default()).await;
    for _ in 0..changes {
        let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
        let mut events = Vec::new();
        for number in 0..subjects {
            let subject = format!("subject-{number}");
            let version = counting::raise(&mut change, &subject).await;
            events.push(counting::told(&subject, version));
        }
        change.commit(&events).await.unwrap();
    }
    until("all of it is sent", async || unsent(place).await == 0).await;
    process.stop().await;
    read(place).await.into_iter().map(record).collect()
}

/// What lies on the topic, to be put there once more.
fn record(lying: Lying) -> Record {
    let headers = lying.headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
    let headers: Vec<_> = headers.collect();
    let key = headers.iter().find(|(name, _)| name == "ce_partitionkey").unwrap().1.clone();
    Record { key: String::from_utf8(key).unwrap(), headers, payload: lying.payload }
}

#[tokio::test]
async fn three_of_each_in_disorder_end_in_the_same_state() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("outbox-shuffle").await;
    let records = told_by_outbox(&place, shuffle::SUBJECTS.into(), shuffle::CHANGES).await;
    // Those that are in order are not read.
    skip(&place, "count").await;
    shuffle::ends_in_the_same_state(&place, records, &mut rng).await;
    place.end().await;
}

#[tokio::test]
async fn what_is_read_again_changes_nothing() {
    let place = Place::new("outbox-replayed").await;
    told_by_outbox(&place, 8, 10).await;
    repeats::reading_again_changes_nothing(&place, 80).await;
    assert_told_once(&place, false).await;
    place.end().await;
}

#[tokio::test]
async fn each_event_takes_effect_once_while_consumers_come_and_go() {
    let rng = StdRng::seed_from_u64(seed());
    let place = Place::new("outbox-rebalance").await;
    let outbox = Outbox::default();
    let process = relay(&place, &outbox, Differently::default()).await;
    let write = async |sequence: i64| {
        for number in 0..4 {
            assert_eq!(count_up(&place.pool, &outbox, &format!("subject-{number}")).await, sequence);
        }
    };
    rebalance::consumers_come_and_go(&place, rng, 3, write).await;
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}

#[tokio::test]
async fn poison_is_parked_with_what_comes_behind_it_and_replayed_once_it_is_mended() {
    const EVENTS: i64 = 3_000;
    const SUBJECTS: i64 = 100;
    const POISON: i64 = 3;
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("outbox-poison").await;
    let outbox = Outbox::default();
    let process = super::whole(&place, &outbox).await;
    let poisoned: Vec<i64> =
        (0..POISON).map(|nth| nth * EVENTS / POISON + rng.random_range(0..EVENTS / POISON)).collect();
    for hundred in 0..EVENTS / SUBJECTS {
        let mut change = outbox.begin::<()>(&place.pool).await.unwrap();
        let mut events = Vec::new();
        for number in 0..SUBJECTS {
            let subject = format!("subject-{number:03}");
            let version = counting::raise(&mut change, &subject).await;
            let mut event = counting::told(&subject, version);
            if poisoned.contains(&(hundred * SUBJECTS + number)) {
                event.payload = BREAKS.into();
            }
            events.push(event);
        }
        change.commit(&events).await.unwrap();
    }
    until("all of it is sent", async || unsent(&place).await == 0).await;
    until_consumed(&place, "count").await;
    let parked = place.parked("count").await;
    let breaks = parked.iter().filter(|parked| parked.cause.contains("effect_body_check"));
    assert_eq!(i64::try_from(breaks.count()).unwrap(), POISON);
    let keys: std::collections::HashSet<_> =
        poisoned.iter().map(|nth| format!("subject-{:03}", nth % SUBJECTS)).collect();
    assert!(parked.iter().all(|parked| keys.contains(&parked.parking_key)), "somebody else is parked");
    assert_eq!(place.effects("count").await.len() + parked.len(), usize::try_from(EVENTS).unwrap());

    let mended = "ALTER TABLE effect DROP CONSTRAINT effect_body_check";
    sqlx::raw_sql(mended).execute(&place.pool).await.unwrap();
    repair::replay(&repair::repair(&place), repair::order(Filter::default())).await;
    assert!(place.parked("count").await.is_empty());
    assert_told_once(&place, false).await;
    process.stop().await;
    place.end().await;
}
