//! kill -9 at every transition, before and after each write: each service in turn is killed at its first commit, at its second, and so
//! on, once before PostgreSQL hears of the commit and once after it is done. What dies is started again at once.

use trial::chaos::tripwire::Side;

use super::case::{self, Case, DEAL, ITEM, PRICE};
use super::house::House;
use crate::booster::is_full;

/// More commits than any service makes for three orders: it would never end.
const COMMITS_MOST: usize = 80;
/// Commits that are met in every run, each on one side, in turn; at full size it is all of them, on both.
const COMMITS_IN_EVERY_RUN: usize = 4;
/// Of each item, more than all cases take.
const STOCK: i64 = 10_000;

/// The commits of one service.
async fn every_commit_of(service: &'static str) {
    let mut house = House::start(&format!("matrix-{service}"), Some(service)).await;
    house.doors.stock(ITEM, PRICE, STOCK, DEAL).await;
    let mut paid = 0;
    for nth in 0.. {
        assert!(nth < COMMITS_MOST, "{service} commits without end");
        if nth == COMMITS_IN_EVERY_RUN && !is_full() {
            break;
        }
        let sides =
            if is_full() { vec![Side::Before, Side::After] } else { vec![[Side::Before, Side::After][nth % 2]] };
        let mut was_tripped = false;
        for side in sides {
            was_tripped |= one(&mut house, service, nth, side).await;
            paid += 1;
        }
        if !was_tripped {
            break;
        }
    }
    let item = house.doors.item(ITEM).await;
    assert_eq!((item.stock, item.sold), (STOCK - paid, paid));
    house.end().await;
}

/// One case. Whether the service has made so many commits at all.
async fn one(house: &mut House, service: &'static str, nth: usize, side: Side) -> bool {
    let case = Case::prepare(&mut house.doors, &format!("{service}-{nth}-{side:?}")).await;
    let doors = house.doors.clone();
    let mut tripped = house.wire.as_ref().unwrap().arm(nth, side);
    let play = case.play(&doors);
    tokio::pin!(play);
    let (was_tripped, ended) = tokio::select! {
        biased;
        ended = &mut play => (false, ended),
        Ok(()) = &mut tripped => {
            let child = house.children.get_mut(service).unwrap();
            child.start_again().await;
            (true, play.await)
        }
    };
    house.wire.as_ref().unwrap().disarm();
    case::check(house, &ended).await;
    was_tripped
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_killed_at_every_commit() {
    every_commit_of("order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn point_is_killed_at_every_commit() {
    every_commit_of("point").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_is_killed_at_every_commit() {
    every_commit_of("payment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promotion_is_killed_at_every_commit() {
    every_commit_of("promotion").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranking_is_killed_at_every_commit() {
    every_commit_of("ranking").await;
}
