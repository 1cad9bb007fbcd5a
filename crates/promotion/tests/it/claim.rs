//! Claiming, and asking what became of it.

use futures::future::join_all;
use proto::promotion::v1 as pb;
use tonic_types::StatusExt as _;

use crate::service::{Service, deal, field, later, reason};

#[tokio::test]
async fn a_holder_is_answered_with_the_same_coupon() {
    let mut service = Service::start("claim-again").await;
    service.deal("lunch", 2).await;
    let first = service.claim("lunch", "ann").await.unwrap();
    let again = service.claim("lunch", "ann").await.unwrap();
    assert_eq!((first.already_held, again.already_held), (false, true));
    assert_eq!(first.coupon, again.coupon);
    let coupon = first.coupon.unwrap();
    assert_eq!((coupon.coupon_id.as_str(), coupon.rank), ("lunch-1", 1));
    let asked = pb::GetClaimRequest { deal_id: "lunch".to_owned(), user_id: "ann".to_owned() };
    assert_eq!(service.client.get_claim(asked).await.unwrap().into_inner(), coupon);
    let asked = pb::GetClaimRequest { deal_id: "lunch".to_owned(), user_id: "bob".to_owned() };
    assert_eq!(reason(service.client.get_claim(asked).await), "COUPON_NOT_FOUND");
    service.end().await;
}

#[tokio::test]
async fn never_one_too_many() {
    let mut service = Service::start("claim-stock").await;
    service.deal("lunch", 20).await;
    let claim = |index: usize| {
        let mut client = service.client.clone();
        let user_id = format!("u{}", index % 100);
        async move {
            let asked = pb::ClaimCouponRequest { deal_id: "lunch".to_owned(), user_id, pass: String::new() };
            client.claim_coupon(asked).await
        }
    };
    // More than 128 at once on one connection would be shed.
    let mut told = Vec::new();
    for begin in [0, 100, 200] {
        told.extend(join_all((begin..begin + 100).map(claim)).await);
    }
    let mut ranks: Vec<i64> = Vec::new();
    for reply in told {
        match reply {
            Ok(reply) => ranks.push(reply.into_inner().coupon.unwrap().rank),
            refused => assert_eq!(reason(refused), "SOLD_OUT"),
        }
    }
    ranks.sort_unstable();
    ranks.dedup();
    assert_eq!(ranks, (1..=20).collect::<Vec<i64>>());
    let listed = service.arrived("lunch", 20).await;
    assert_eq!(listed.iter().map(|coupon| coupon.rank).collect::<Vec<_>>(), (1..=20).rev().collect::<Vec<i64>>());
    let shown = service.get("lunch").await.unwrap();
    assert_eq!((shown.state(), shown.remaining), (pb::DealState::SoldOut, 0));
    service.end().await;
}

#[tokio::test]
async fn refusals_have_their_reasons() {
    let mut service = Service::start("claim-refused").await;
    assert_eq!(reason(service.claim("nothing", "ann").await), "DEAL_NOT_FOUND");
    assert_eq!(field(service.claim("a:b", "ann").await), "deal_id");
    assert_eq!(field(service.claim("lunch", "").await), "user_id");

    let scheduled = pb::Deal { opens_at: Some(later(600)), ..deal("later", 5) };
    let asked = pb::CreateDealRequest { deal: Some(scheduled), request_id: String::new() };
    let shown = service.client.create_deal(asked).await.unwrap().into_inner();
    assert_eq!(shown.state(), pb::DealState::Scheduled);
    let early = service.claim("later", "ann").await.unwrap_err();
    let wait = early.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert!((590..=600).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(reason::<()>(Err(early)), "NOT_OPEN");

    let guarded = pb::Deal { pass_required: true, ..deal("guarded", 5) };
    service.create(guarded).await.unwrap();
    assert_eq!(reason(service.claim("guarded", "ann").await), "PASS_REQUIRED");

    let over = pb::Deal { opens_at: Some(later(0)), closes_at: Some(later(2)), ..deal("short", 1_000) };
    service.create(over).await.unwrap();
    let held = service.claim("short", "ann").await.unwrap();
    // A new user each time: whoever has won is a holder, and is answered for ever.
    let mut late = 0..100;
    while late.next().is_some() {
        let reply = service.claim("short", &format!("late{}", late.start)).await;
        if reply.is_err() && reason(reply) == "CLOSED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_ne!(late.start, 100, "it never closed");
    // A holder is answered also when it is over.
    assert_eq!(service.claim("short", "ann").await.unwrap().coupon, held.coupon);
    service.end().await;
}
