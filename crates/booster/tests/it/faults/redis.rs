//! Redis is killed, paused, and loses its functions.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::sleep;

use super::{Field, fence};
use crate::crowd::Crowd;

/// How long a claim may take by the service's own word, and how much later its answer may be seen.
const DEADLINE: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(1);
/// People of a rush, and how many of them ask at once.
const RUSH: usize = 16_000;
const AT_ONCE: usize = 256;
/// How often the functions are flushed.
const FLUSHES: u32 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn every_primary_is_killed_and_restarted_on_its_own_disk() {
    let field = Field::start("redis-killed").await;
    let crowd = field.crowd("killed").await;
    let users: Vec<(String, u32)> = (0..RUSH).map(|user| (format!("user-{user}"), 1)).collect();
    let fault = async {
        // Many claims are on their way at the instant of the kill.
        while crowd.answered() < RUSH / 4 {
            sleep(Duration::from_millis(10)).await;
        }
        field.with(|servers| servers.kill_redis_primaries()).await;
        sleep(Duration::from_secs(2)).await;
        field.with(|servers| servers.restart_redis()).await;
    };
    tokio::join!(crowd.all(&users, AT_ONCE), fault);
    crowd.assert_only(&["OK", "OVERLOADED", "BACKEND_UNAVAILABLE"]);
    assert!(crowd.reasons().contains_key("BACKEND_UNAVAILABLE"), "it was not felt: {:?}", crowd.reasons());
    field.assert_exact(&[&crowd]).await;
}

#[tokio::test]
async fn a_flushed_library_is_not_seen_and_a_paused_primary_ends_no_later_than_the_deadline() {
    let field = Field::start("redis-paused").await;
    let flushed = field.crowd("flushed").await;
    flushed
        .during(async {
            for _ in 0..FLUSHES {
                let pause_ms = rand::rng().random_range(0..100);
                sleep(Duration::from_millis(pause_ms)).await;
                field.with(|servers| servers.flush_functions()).await;
            }
        })
        .await;
    flushed.assert_undisturbed();

    // Two seconds: batches are late, and the cluster does not notice. Five: it does.
    let (paused, beside) = (field.crowd("paused").await, beside(&field, "paused").await);
    for pause_seconds in [2, 5] {
        let pause = async {
            let node = field.with(|servers| servers.serving(&fence("paused"))).await;
            let again = node.clone();
            field.with(move |servers| servers.pause_redis(&node)).await;
            sleep(Duration::from_secs(pause_seconds)).await;
            field.with(move |servers| servers.resume_redis(&again)).await;
            sleep(Duration::from_secs(2)).await;
        };
        beside.during(paused.during(pause)).await;
    }
    paused.assert_only(&["OK", "OVERLOADED", "BACKEND_UNAVAILABLE"]);
    assert!(paused.reasons().contains_key("BACKEND_UNAVAILABLE"), "it was not felt: {:?}", paused.reasons());
    assert!(paused.slowest() < DEADLINE + LATER, "an answer took {:?}", paused.slowest());
    beside.assert_undisturbed();
    field.assert_exact(&[&flushed, &paused, &beside]).await;
}

/// A crowd for a deal on another primary than this one's.
async fn beside(field: &Field, deal_id: &'static str) -> Crowd {
    let other = field
        .with(move |servers| {
            let taken = servers.serving(&fence(deal_id));
            let mut names = (0..).map(|number| format!("beside-{number}"));
            names.find(|name| servers.serving(&fence(name)) != taken).unwrap()
        })
        .await;
    field.crowd(&other).await
}
