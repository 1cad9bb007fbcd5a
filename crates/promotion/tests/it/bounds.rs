//! What is bounded refuses beyond its bound, and goes on when there is room.

use fred::interfaces::StreamsInterface as _;
use promotion::deal::UserId;
use promotion::redis::{JOURNAL_LIMIT, Outcome};

use crate::shelf::{Shelf, found, wish};

#[tokio::test]
async fn a_full_journal_takes_no_claims_and_answers_holders() {
    let shelf = Shelf::new("journal-full").await;
    let wish = wish(10);
    shelf.put(&wish).await;
    let claim = async |users: &[&str]| {
        let users: Vec<UserId> = users.iter().map(|user| UserId::parse(user).unwrap()).collect();
        let not_after_ms = kit::clock::to_millis(kit::clock::now()) + 60_000;
        found(shelf.deals.claim(&wish.deal_id, &users, not_after_ms, "").await.unwrap()).outcomes
    };
    let [Outcome::Won(first)] = claim(&["ann"]).await[..] else { panic!("nothing stands in the way") };

    // As if nobody had read it for long.
    let journal = shelf.journal(&wish.deal_id);
    let megabyte = "x".repeat(1024 * 1024);
    for _ in 0..JOURNAL_LIMIT / (1024 * 1024) {
        let _: String = shelf.redis.xadd(&journal, false, None, "*", ("filler", &megabyte)).await.unwrap();
    }
    assert_eq!(claim(&["bob", "ann"]).await, [Outcome::Full, Outcome::Held(first)]);
    assert_eq!(found(shelf.deals.look(&wish.deal_id).await.unwrap()).issued, 1);

    let _: i64 = shelf.redis.xtrim(&journal, ("MAXLEN", "=", 1)).await.unwrap();
    assert!(matches!(claim(&["bob"]).await[..], [Outcome::Won(grant)] if grant.rank == 2));
    let _: i64 = shelf.redis.xtrim(&journal, ("MAXLEN", "=", 0)).await.unwrap();
    shelf.ground.end().await;
}
