//! Users who claim again and again, through two processes at once: each has one coupon, and is always told the same.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::booster::{is_full, promotions, told};
use crate::crowd::Crowd;

/// How often each user claims.
const CALLS: u32 = 5;
/// Claims on their way at once; more than 128 on one of the eight connections would be shed.
const AT_ONCE: usize = 512;

#[tokio::test(flavor = "multi_thread")]
async fn everybody_claims_five_times_and_it_is_exact() {
    let (users, stock) = if is_full() { (20_000, 2_000) } else { (4_000, 400) };
    let (ground, processes) = promotions("repeats", 2).await;
    let urls: Vec<String> = processes.iter().map(|process| process.grpc_url()).collect();
    let deal_id = format!("repeats-{}", kit::id::fresh());
    let crowd = Crowd::gather(&urls, &deal_id, stock).await;
    let mut calls: Vec<(String, u32)> =
        (0..users).flat_map(|user| (1..=CALLS).map(move |call| (format!("user-{user}"), call))).collect();
    calls.shuffle(&mut StdRng::seed_from_u64(crowd.seed));
    crowd.all(&calls, AT_ONCE).await;

    crowd.assert_only(&["OK", "SOLD_OUT", "OVERLOADED"]);
    assert_eq!(crowd.assert_exact(&ground.servers().postgres_url).await, stock as usize);
    // A winner is told so each time that he asks, and nobody else ever.
    assert_eq!(crowd.reasons()["OK"], (stock * CALLS) as usize);
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 0 violations\n"));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_claims_in_parallel_and_wins_once() {
    let claims = if is_full() { 10_000 } else { 1_000 };
    let (ground, processes) = promotions("parallel", 2).await;
    let urls: Vec<String> = processes.iter().map(|process| process.grpc_url()).collect();
    let deal_id = format!("parallel-{}", kit::id::fresh());
    let crowd = Crowd::gather(&urls, &deal_id, claims).await;
    let one: Vec<(String, u32)> = (1..=claims).map(|call| ("greedy".to_owned(), call)).collect();
    crowd.during(crowd.all(&one, AT_ONCE)).await;

    // Everybody else went on meanwhile, and everybody was told yes.
    crowd.assert_only(&["OK", "OVERLOADED"]);
    crowd.assert_exact(&ground.servers().postgres_url).await;
    let greedy = crowd.told("greedy");
    assert_eq!(greedy.len(), claims as usize);
    assert_eq!(greedy.iter().filter(|(_, already_held)| !already_held).count(), 1, "he won more than once, or never");
    assert!(greedy.iter().all(|(rank, _)| *rank == greedy[0].0), "he was told several ranks");
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 0 violations\n"));
    ground.end().await;
}
