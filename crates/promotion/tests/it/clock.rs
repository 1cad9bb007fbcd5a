//! Clocks that do not agree: nothing opens early, and holders are still answered.

use bus::journal::{Keys, Tag};
use fred::interfaces::HashesInterface as _;

use crate::road::connect;
use crate::service::{Service, reason};

/// Ten minutes.
const APART_MS: i64 = 600_000;

#[tokio::test]
async fn a_clock_that_is_off_lets_nobody_new_win_and_answers_holders() {
    let mut service = Service::start("clock-off").await;
    service.deal("lunch", 5).await;
    let ann = service.claim("lunch", "ann").await.unwrap();

    // As if the node that serves the tag had once had a clock ten minutes ahead: its time never goes back.
    let redis = connect(&service.ground.servers()).await;
    let fence = Keys::new(&service.ground.servers(), promotion::SERVICE).fence(Tag::of("lunch"));
    let ahead_ms = kit::clock::to_millis(kit::clock::now()) + APART_MS;
    let _: i64 = redis.hset(&fence, ("now", ahead_ms.to_string())).await.unwrap();

    // The first batch learns of it: it is late by the time of Redis. The later ones know.
    assert_eq!(reason(service.claim("lunch", "bob").await), "BACKEND_UNAVAILABLE");
    assert_eq!(reason(service.claim("lunch", "bob").await), "BACKEND_UNAVAILABLE");
    let again = service.claim("lunch", "ann").await.unwrap();
    assert_eq!((again.coupon, again.already_held), (ann.coupon, true));

    let back_ms = kit::clock::to_millis(kit::clock::now());
    let _: i64 = redis.hset(&fence, ("now", back_ms.to_string())).await.unwrap();
    service.claim("lunch", "ann").await.unwrap();
    assert_eq!(service.claim("lunch", "bob").await.unwrap().coupon.unwrap().rank, 2);
    service.end().await;
}
