//! Redis has no memory left.

use std::time::{Duration, Instant};

use proto::promotion::v1 as pb;
use tokio::time::sleep;
use tonic::Status;

use super::{Field, journal};
use crate::crowd::{Client, claiming, creating, doors, open_deal, reason};

/// How long something may take that is done a few times a second.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn without_memory_claims_are_refused_cleanly_and_what_makes_room_still_works() {
    let field = Field::start("redis-full").await;
    let crowd = field.crowd("full").await;
    let mut client = doors(&field.urls()).await.remove(0);
    open_deal(&mut client, "small", 10).await;
    let coupon = client.claim_coupon(claiming("small", "ann")).await.unwrap().into_inner().coupon.unwrap();
    for user in ["cid", "dan"] {
        client.claim_coupon(claiming("small", user)).await.unwrap();
    }
    client.redeem_coupon(redeeming("small-2", "cid", "o1")).await.unwrap();

    crowd
        .during(async {
            // As long as Kafka acknowledges nothing, the journal grows.
            field.with(|servers| servers.pause_kafka()).await;
            sleep(Duration::from_secs(1)).await;
            field.with(|servers| servers.fill_memory()).await;
            assert!(entries(&field).await > 10);
            assert_full(&mut client, &coupon).await;
            // It is written down already, and will come to be: nobody may be told that nothing happened.
            assert_eq!(refused(client.create_deal(creating("late", 10)).await), "BACKEND_UNAVAILABLE");
            // The journal is still read and trimmed: it is what makes room. The entry at the progress itself stays.
            field.with(|servers| servers.resume_kafka()).await;
            let since = Instant::now();
            while entries(&field).await > 1 {
                assert!(since.elapsed() < SOON, "the journal is not trimmed");
                sleep(Duration::from_millis(100)).await;
            }
            assert_full(&mut client, &coupon).await;
            field.with(|servers| servers.free_memory()).await;
        })
        .await;
    crowd.assert_only(&["OK", "OVERLOADED"]);
    assert!(crowd.reasons().contains_key("OVERLOADED"), "{:?}", crowd.reasons());

    client.claim_coupon(claiming("small", "bob")).await.unwrap();
    client.redeem_coupon(redeeming("small-3", "dan", "o2")).await.unwrap();
    assert_eq!(refused(client.redeem_coupon(redeeming("small-2", "cid", "o1")).await), "COUPON_OTHER_ORDER");
    // What was begun is finished by the pusher.
    let since = Instant::now();
    while state_of(&mut client, "late").await != pb::DealState::Open {
        assert!(since.elapsed() < SOON, "the deal is not finished");
        sleep(Duration::from_millis(100)).await;
    }
    field.assert_exact(&[&crowd]).await;
}

fn redeeming(coupon_id: &str, user_id: &str, order_id: &str) -> pb::RedeemCouponRequest {
    let (coupon_id, user_id, order_id) = (coupon_id.to_owned(), user_id.to_owned(), order_id.to_owned());
    pb::RedeemCouponRequest { coupon_id, user_id, order_id }
}

/// Nothing new is taken or used; what is held can be seen, given back, and taken back from an order.
async fn assert_full(client: &mut Client, coupon: &pb::Coupon) {
    assert_eq!(refused(client.claim_coupon(claiming("small", "bob")).await), "OVERLOADED");
    let returning = pb::ReturnCouponRequest { coupon_id: coupon.coupon_id.clone(), user_id: coupon.user_id.clone() };
    let returned = client.return_coupon(returning).await.unwrap().into_inner();
    assert_eq!(returned, pb::Coupon { state: pb::CouponState::Returned.into(), ..coupon.clone() });
    let asked = pb::GetClaimRequest { deal_id: coupon.deal_id.clone(), user_id: coupon.user_id.clone() };
    assert_eq!(client.get_claim(asked).await.unwrap().into_inner(), returned);
    assert_eq!(refused(client.redeem_coupon(redeeming("small-3", "dan", "o2")).await), "OVERLOADED");
    let undo = pb::RestoreCouponRequest { coupon_id: "small-2".to_owned(), order_id: "o1".to_owned() };
    assert_eq!(client.restore_coupon(undo).await.unwrap().into_inner().state(), pb::CouponState::Issued);
    // What was refused has left nothing behind.
    let asked = pb::GetClaimRequest { deal_id: coupon.deal_id.clone(), user_id: "bob".to_owned() };
    assert_eq!(refused(client.get_claim(asked).await), "COUPON_NOT_FOUND");
}

async fn state_of(client: &mut Client, deal_id: &str) -> pb::DealState {
    client.get_deal(pb::GetDealRequest { deal_id: deal_id.to_owned() }).await.unwrap().into_inner().state()
}

/// How many entries wait in the journal of the crowd's deal.
async fn entries(field: &Field) -> usize {
    field.with(|servers| servers.entries(&journal("full"))).await
}

fn refused<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    reason(&reply.expect_err("it is refused"))
}
