//! What comes again, in disorder, or late ends in the same state as what came once and in order (F21, F22, F23).

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::calendar::{monday, noon, sunday};
use crate::scene::{Scene, boards_of, cancelled, order, paid};
use crate::service::Service;

/// Orders, of which every third is cancelled.
const ORDERS: usize = 60;

/// The seed of a test that takes chances: `BOOSTER_TEST_SEED`, or a new one. It is shown where the test fails.
#[expect(clippy::print_stdout, reason = "the seed is printed, so that a failure can be repeated")]
fn seed() -> u64 {
    let given = std::env::var("BOOSTER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("BOOSTER_TEST_SEED={seed}");
    seed
}

/// An event, under an id of its own.
type Named = (uuid::Uuid, bus::event::NewEvent);

/// Events, and what they come to: of two items, on two days.
fn events() -> (Vec<Named>, [(i64, i64); 2]) {
    let (mut events, mut sums) = (Vec::new(), [(0, 0); 2]);
    for number in 0..ORDERS {
        let (day, quantity) = (number % 2, i64::try_from(number).unwrap() + 1);
        let paid_at = noon([sunday(), monday()][day]);
        let order = order(&format!("o{number}"), paid_at, &[("tea", quantity, "v"), ("cake", 1, "v")]);
        events.push((uuid::Uuid::now_v7(), paid(&order)));
        if number % 3 == 0 {
            events.push((uuid::Uuid::now_v7(), cancelled(&order)));
        } else {
            sums[day].0 += quantity;
            sums[day].1 += 1;
        }
    }
    (events, sums)
}

/// Waits until both days are as they should be.
async fn come_to(service: &mut Service, sums: [(i64, i64); 2]) {
    for (day, (tea, cake)) in [sunday(), monday()].into_iter().zip(sums) {
        service.until_day(day, &[("tea", tea), ("cake", cake)]).await;
        service.until_week(day, &[("tea", tea), ("cake", cake)]).await;
    }
}

#[tokio::test]
async fn three_of_each_in_disorder_end_in_the_same_state() {
    let mut rng = StdRng::seed_from_u64(seed());
    let scene = Scene::new("again-shuffle").await;
    let (events, sums) = events();
    // Those of one order come in any order, too: as they do where a relay sends again what is older.
    let mut thrice: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone(), event.clone()]).collect();
    thrice.shuffle(&mut rng);
    scene.tell_as(&thrice).await;
    let mut service = Service::start(&scene.servers, &[]).await;
    come_to(&mut service, sums).await;
    scene.settled().await;
    come_to(&mut service, sums).await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.inbox").await, i64::try_from(events.len()).unwrap());
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_topic_that_is_replayed_from_its_start_changes_nothing() {
    let scene = Scene::new("again-replay").await;
    let (events, sums) = events();
    scene.tell_as(&events).await;
    let mut service = Service::start(&scene.servers, &[]).await;
    come_to(&mut service, sums).await;
    scene.settled().await;
    let boards = [boards_of(sunday()), boards_of(monday())].concat();
    let mut before = Vec::new();
    for board in &boards {
        before.push((scene.bytes(*board).await, scene.seen(*board).await));
    }
    let tables = scene.dump().await;
    assert_eq!(tables["sale"].len(), ORDERS);
    for round in 0..3 {
        service.stop().await;
        if round == 2 {
            // Without the inbox, too, the same events lead to the same rows; and the inbox comes to be what it was.
            scene.execute("TRUNCATE ranking.inbox").await;
        }
        let topic = scene.topic();
        let records = tokio::task::spawn_blocking(move || topic.rewind().unwrap()).await.unwrap();
        assert_eq!(records, i64::try_from(events.len()).unwrap());
        service = Service::start(&scene.servers, &[]).await;
        scene.settled().await;
        assert_eq!(scene.dump().await, tables, "round {round}");
        for (board, before) in boards.iter().zip(&before) {
            assert_eq!(&(scene.bytes(*board).await, scene.seen(*board).await), before, "{board}, round {round}");
        }
    }
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn an_older_event_after_a_newer_one_still_ends_right() {
    let scene = Scene::new("again-late").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    let (gone, sold) = (order("gone", noon(day), &[("tea", 5, "v")]), order("sold", noon(day), &[("tea", 1, "v")]));
    scene.tell(&[cancelled(&gone), paid(&sold)]).await;
    service.until_day(day, &[("tea", 1)]).await;
    // Its payment is heard of in a batch of its own, long after it was cancelled.
    scene.tell(&[paid(&gone)]).await;
    scene.settled().await;
    service.until_day(day, &[("tea", 1)]).await;
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}
