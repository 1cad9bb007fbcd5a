//! Copies of a batch that come late: past `not_after`, by the time of Redis, nothing new is taken, and holders are answered.

use std::time::Duration;

use fred::interfaces::StreamsInterface as _;
use promotion::deal::{DealId, UserId};
use promotion::redis::{Claimed, Outcome};

use crate::shelf::{Shelf, found, wish};

/// How long after it was sent a batch may still take something, in milliseconds.
const NOT_AFTER_MS: i64 = 1_000;
/// An hour.
const AHEAD_MS: i64 = 3_600_000;

impl Shelf {
    /// One copy of a batch.
    async fn claim(&self, deal_id: &DealId, users: &[&str], not_after_ms: i64) -> Claimed {
        let users: Vec<UserId> = users.iter().map(|user| UserId::parse(user).unwrap()).collect();
        found(self.deals.claim(deal_id, &users, not_after_ms, "").await.unwrap())
    }

    /// The time of Redis: a batch of nobody takes nothing, and brings it.
    async fn now_ms(&self, deal_id: &DealId) -> i64 {
        self.claim(deal_id, &[], 0).await.now_ms
    }

    /// Coupons issued, and entries of the journal.
    async fn extent(&self, deal_id: &DealId) -> (i64, i64) {
        let issued = found(self.deals.look(deal_id).await.unwrap()).issued;
        (issued, self.redis.xlen(self.journal(deal_id)).await.unwrap())
    }
}

/// The rank of each who has one, and what else was said.
fn said(claimed: &Claimed) -> Vec<Result<i64, Outcome>> {
    let said = claimed.outcomes.iter().map(|outcome| match *outcome {
        Outcome::Won(grant) | Outcome::Held(grant) => Ok(grant.rank),
        Outcome::Returned(_)
        | Outcome::SoldOut
        | Outcome::NotOpen
        | Outcome::Closed
        | Outcome::Frozen
        | Outcome::PassRequired
        | Outcome::Late
        | Outcome::Full => Err(*outcome),
    });
    said.collect()
}

#[tokio::test]
async fn a_late_copy_takes_nothing_and_answers_holders() {
    let shelf = Shelf::new("late").await;
    let (wish, late) = (wish(2), Err(Outcome::Late));
    let id = &wish.deal_id;
    shelf.put(&wish).await;
    let limit_ms = shelf.now_ms(id).await + NOT_AFTER_MS;
    assert_eq!(said(&shelf.claim(id, &["ann"], limit_ms).await), [Ok(1)]);
    while shelf.now_ms(id).await <= limit_ms {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // A batch that was on its way for so long: the holder in it is answered, the others may be told no.
    assert_eq!(said(&shelf.claim(id, &["ann", "bob", "cid"], limit_ms).await), [Ok(1), late, late]);
    assert_eq!(shelf.extent(id).await, (1, 1));

    // What they were not given goes to the next one, and no further copy takes it from him, or gives them anything.
    let next = shelf.claim(id, &["dan"], shelf.now_ms(id).await + 60_000).await;
    assert_eq!(said(&next), [Ok(2)]);
    for _ in 0..3 {
        let copy = shelf.claim(id, &["dan", "bob", "cid", "ann"], limit_ms).await;
        assert_eq!(said(&copy), [Ok(2), late, late, Ok(1)]);
        assert_eq!((copy.round, copy.sequence), (next.round, next.sequence));
    }
    assert_eq!(shelf.extent(id).await, (2, 2));
    shelf.ground.end().await;
}

#[tokio::test]
async fn it_is_the_time_of_redis_that_makes_a_copy_late() {
    let shelf = Shelf::new("late-by-redis").await;
    // It is open for longer than the clock will be ahead.
    let wish = wish(2);
    let wish = promotion::deal::Wish { closes_at: wish.closes_at + time::Duration::DAY, ..wish };
    let (id, late) = (&wish.deal_id, Err(Outcome::Late));
    shelf.put(&wish).await;
    // As if Redis had once been an hour ahead: its time never goes back, whatever the caller's clock says.
    let ahead_ms = shelf.now_ms(id).await + AHEAD_MS;
    shelf.remember_ms(id, ahead_ms).await;
    for limit_ms in [kit::clock::to_millis(kit::clock::now()) + 60_000, ahead_ms - 1] {
        assert_eq!(said(&shelf.claim(id, &["ann"], limit_ms).await), [late]);
    }
    assert_eq!(shelf.extent(id).await, (0, 0));
    // At the very instant it is not late yet.
    assert_eq!(said(&shelf.claim(id, &["ann"], ahead_ms).await), [Ok(1)]);
    assert_eq!(shelf.now_ms(id).await, ahead_ms);
    shelf.ground.end().await;
}
