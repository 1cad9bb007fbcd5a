//! Whoever watches a deal is told what changes, and when its time comes.

use std::time::Duration;

use bus::journal::{Keys, Tag};
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use proto::promotion::v1 as pb;
use tonic::Streaming;

use crate::road::connect;
use crate::service::{Service, deal, field, later, reason};

/// How long news may take.
const NEWS: Duration = Duration::from_secs(3);

type Watch = Streaming<pb::WatchDealResponse>;

impl Service {
    async fn watch(&mut self, deal_id: &str) -> Result<Watch, tonic::Status> {
        Ok(self.client.watch_deal(pb::WatchDealRequest { deal_id: deal_id.to_owned() }).await?.into_inner())
    }
}

/// Reads on until the deal is seen so.
async fn sees(watch: &mut Watch, state: pb::DealState, remaining: i64, round: i64) {
    let seen = async {
        loop {
            let view = watch.message().await.unwrap().expect("it goes on");
            if (view.state(), view.remaining, view.round) == (state, remaining, round) {
                return;
            }
        }
    };
    let seen = tokio::time::timeout(NEWS, seen).await;
    assert!(seen.is_ok(), "{state:?} with {remaining} in round {round} is never seen");
}

#[tokio::test]
async fn what_happens_is_pushed_to_all_who_watch() {
    let mut service = Service::start("watch").await;
    service.deal("lunch", 2).await;
    let (mut one, mut two) = (service.watch("lunch").await.unwrap(), service.watch("lunch").await.unwrap());
    for watch in [&mut one, &mut two] {
        sees(watch, pb::DealState::Open, 2, 1).await;
    }
    service.claim("lunch", "ann").await.unwrap();
    sees(&mut one, pb::DealState::Open, 1, 1).await;
    service.claim("lunch", "bob").await.unwrap();
    sees(&mut one, pb::DealState::SoldOut, 0, 1).await;
    service.give_back("lunch-1", "ann").await.unwrap();
    sees(&mut one, pb::DealState::Open, 1, 2).await;
    let more = pb::Deal { stock: 5, ..deal("lunch", 5) };
    service.change(more, &["stock"]).await.unwrap();
    sees(&mut one, pb::DealState::Open, 4, 3).await;
    service.close_deal("lunch").await.unwrap();
    // Who reads late gets the newest state.
    for watch in [&mut one, &mut two] {
        sees(watch, pb::DealState::Closed, 4, 3).await;
    }
    assert_eq!(reason(service.watch("dinner").await), "DEAL_NOT_FOUND");
    assert_eq!(field(service.watch("a b").await), "deal_id");
    service.end().await;
}

#[tokio::test]
async fn an_opening_and_an_end_are_pushed_when_their_time_comes() {
    let mut service = Service::start("watch-time").await;
    // Long enough before that a busy machine has made it by then; each is waited for from shortly before on.
    let begun = tokio::time::Instant::now();
    let short = pb::Deal { opens_at: Some(later(5)), closes_at: Some(later(10)), ..deal("lunch", 2) };
    service.create(short).await.unwrap();
    let mut watch = service.watch("lunch").await.unwrap();
    sees(&mut watch, pb::DealState::Scheduled, 2, 1).await;
    tokio::time::sleep_until(begun + Duration::from_secs(4)).await;
    sees(&mut watch, pb::DealState::Open, 2, 1).await;
    tokio::time::sleep_until(begun + Duration::from_secs(9)).await;
    sees(&mut watch, pb::DealState::Closed, 2, 1).await;
    service.end().await;
}

#[tokio::test]
async fn many_watch_and_a_slow_one_gets_the_newest() {
    let mut service = Service::start("watch-many").await;
    service.deal("lunch", 300).await;
    let mut slow = service.watch("lunch").await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..150 {
        watches.push(service.watch("lunch").await.unwrap());
    }
    let claims = (0..300).map(|number| {
        let mut client = service.client.clone();
        let (deal_id, user_id) = ("lunch".to_owned(), format!("u{number}"));
        async move { client.claim_coupon(pb::ClaimCouponRequest { deal_id, user_id, pass: String::new() }).await }
    });
    for claimed in futures::future::join_all(claims).await {
        claimed.unwrap();
    }
    for watch in &mut watches {
        sees(watch, pb::DealState::SoldOut, 0, 1).await;
    }
    let mut read = 0;
    loop {
        let view = tokio::time::timeout(NEWS, slow.message()).await.unwrap().unwrap().unwrap();
        read += 1;
        if view.remaining == 0 {
            break;
        }
    }
    assert!(read < 300, "{read} states for 300 claims");
    service.end().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_process() {
    let mut service = Service::start("watch-end").await;
    service.deal("lunch", 2).await;
    let mut watch = service.watch("lunch").await.unwrap();
    sees(&mut watch, pb::DealState::Open, 2, 1).await;
    let ground = tokio::time::timeout(Duration::from_secs(20), service.stop()).await.expect("it ends in time");
    // With or without a status, it does end.
    let _ = tokio::time::timeout(NEWS, watch.message()).await.expect("the stream ends");
    ground.end().await;
}

#[tokio::test]
async fn who_came_while_it_was_frozen_sees_it_open_again() {
    let mut service = Service::start("watch-frozen").await;
    service.deal("lunch", 2).await;
    let mut early = service.watch("lunch").await.unwrap();
    sees(&mut early, pb::DealState::Open, 2, 1).await;
    // What everybody was told last is what it will be again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let servers = service.ground.servers();
    let redis = connect(&servers).await;
    let fence = Keys::new(&servers, promotion::SERVICE).fence(Tag::of("lunch"));
    let kept: std::collections::HashMap<String, String> = redis.hgetall(&fence).await.unwrap();
    let _: i64 = redis.del(&fence).await.unwrap();
    let mut late = service.watch("lunch").await.unwrap();
    sees(&mut late, pb::DealState::Frozen, 0, 0).await;
    let _: () = redis.hset(&fence, kept).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(20), late.message()).await;
    let seen = seen.expect("what it is now is told").unwrap().unwrap();
    assert_eq!((seen.state(), seen.remaining), (pb::DealState::Open, 2));
    service.end().await;
}
