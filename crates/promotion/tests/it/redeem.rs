//! Orders use coupons and undo that: twice, late, before they began, beside each other.

use std::time::Duration;

use promotion::coupon::State;
use promotion::deal::{OrderId, Refusal, UserId};
use promotion::redis::Unfit;
use proto::promotion::v1 as pb;

use crate::service::{Service, deal, field, reason, valid_for};
use crate::shelf::{Shelf, found, wish};

/// A deal with coupons of ann (rank 1) and bob (rank 2).
async fn scene(name: &str) -> Service {
    let mut service = Service::start(name).await;
    service.deal("lunch", 5).await;
    for user in ["ann", "bob"] {
        service.claim("lunch", user).await.unwrap();
    }
    service
}

async fn end_clean(mut service: Service, coupons: usize) {
    service.arrived("lunch", coupons).await;
    service.assert_clean(coupons).await;
    service.end().await;
}

#[tokio::test]
async fn an_order_redeems_once_and_is_answered_the_same() {
    let mut service = scene("redeem").await;
    let redeemed = service.redeem("lunch-1", "ann", "o1").await.unwrap();
    assert_eq!((redeemed.state(), redeemed.order_id.as_str()), (pb::CouponState::Redeemed, "o1"));
    assert_eq!(service.redeem("lunch-1", "ann", "o1").await.unwrap(), redeemed);
    assert_eq!(service.coupon("lunch-1").await.unwrap(), redeemed);

    assert_eq!(reason(service.redeem("lunch-1", "ann", "o2").await), "COUPON_REDEEMED");
    assert_eq!(reason(service.give_back("lunch-1", "ann").await), "COUPON_REDEEMED");
    assert_eq!(reason(service.redeem("lunch-1", "bob", "o1").await), "NOT_OWNER");
    assert_eq!(reason(service.redeem("lunch-3", "bob", "o1").await), "COUPON_NOT_FOUND");
    assert_eq!(reason(service.redeem("dinner-1", "bob", "o1").await), "COUPON_NOT_FOUND");
    assert_eq!(service.coupon("lunch-1").await.unwrap(), redeemed);

    // A claim is answered with the coupon as it was issued, whatever became of it.
    let again = service.claim("lunch", "ann").await.unwrap();
    assert!(again.already_held);
    assert_eq!(again.coupon.unwrap().state(), pb::CouponState::Issued);
    assert_eq!(service.get_claim("lunch", "ann").await.unwrap(), redeemed);
    end_clean(service, 2).await;
}

#[tokio::test]
async fn an_undo_lets_another_order_have_it_and_this_one_never_again() {
    let mut service = scene("restore").await;
    let issued = service.coupon("lunch-1").await.unwrap();
    service.redeem("lunch-1", "ann", "o1").await.unwrap();
    assert_eq!(reason(service.restore("lunch-1", "o2").await), "COUPON_OTHER_ORDER");
    for _ in 0..2 {
        assert_eq!(service.restore("lunch-1", "o1").await.unwrap(), issued);
    }
    assert_eq!(reason(service.redeem("lunch-1", "ann", "o1").await), "COUPON_OTHER_ORDER");
    // It came to undo before it had begun, and was told that the coupon is another order's.
    assert_eq!(reason(service.redeem("lunch-1", "ann", "o2").await), "COUPON_OTHER_ORDER");
    let third = service.redeem("lunch-1", "ann", "o3").await.unwrap();
    assert_eq!(third.order_id, "o3");
    // A late copy of the first undo takes nothing from it.
    assert_eq!(reason(service.restore("lunch-1", "o1").await), "COUPON_OTHER_ORDER");
    assert_eq!(service.coupon("lunch-1").await.unwrap(), third);
    service.restore("lunch-1", "o3").await.unwrap();
    let returned = service.give_back("lunch-1", "ann").await.unwrap();
    assert_eq!(returned.state(), pb::CouponState::Returned);
    assert_eq!(reason(service.redeem("lunch-1", "ann", "o4").await), "COUPON_RETURNED");
    assert_eq!(service.restore("lunch-1", "o4").await.unwrap(), returned);
    assert_eq!(reason(service.restore("lunch-9", "o4").await), "COUPON_NOT_FOUND");
    assert_eq!(reason(service.restore("dinner-1", "o4").await), "COUPON_NOT_FOUND");
    end_clean(service, 2).await;
}

#[tokio::test]
async fn an_undo_before_its_do_leaves_a_mark() {
    let mut service = scene("undo-first").await;
    let issued = service.restore("lunch-2", "o1").await.unwrap();
    assert_eq!((issued.state(), issued.user_id.as_str()), (pb::CouponState::Issued, "bob"));
    assert_eq!(reason(service.redeem("lunch-2", "bob", "o1").await), "COUPON_OTHER_ORDER");
    assert_eq!(service.coupon("lunch-2").await.unwrap(), issued);
    assert_eq!(service.redeem("lunch-2", "bob", "o2").await.unwrap().order_id, "o2");
    end_clean(service, 2).await;
}

#[tokio::test]
async fn many_orders_at_once_and_one_has_it() {
    let service = scene("many-orders").await;
    let orders = (0..40).map(|number| {
        let mut client = service.client.clone();
        let order_id = format!("o{}", number % 20);
        let (coupon_id, user_id) = ("lunch-1".to_owned(), "ann".to_owned());
        async move { client.redeem_coupon(pb::RedeemCouponRequest { coupon_id, user_id, order_id }).await }
    });
    let answers = futures::future::join_all(orders).await;
    let winners: Vec<String> =
        answers.into_iter().filter_map(|answer| Some(answer.ok()?.into_inner().order_id)).collect();
    // Each order asks twice, and the one that has it is told so twice.
    assert_eq!(winners.len(), 2);
    assert_eq!(winners[0], winners[1]);
    end_clean(service, 2).await;
}

#[tokio::test]
async fn so_many_orders_that_no_other_may_try_and_every_undo_ends() {
    let shelf = Shelf::new("orders-most").await;
    let wish = wish(5);
    shelf.put(&wish).await;
    let (ann, now_ms) = (UserId::parse("ann").unwrap(), kit::clock::to_millis(kit::clock::now()));
    found(shelf.deals.claim(&wish.deal_id, std::slice::from_ref(&ann), now_ms + 60_000, "").await.unwrap());
    let order = |number: u32| OrderId::parse(&format!("o{number}")).unwrap();
    let redeem =
        async |number| found(shelf.deals.redeem((&wish.deal_id, 1), &ann, &order(number), "").await.unwrap()).map(drop);
    let restore =
        async |number| found(shelf.deals.restore((&wish.deal_id, 1), &order(number), "").await.unwrap()).map(drop);
    let barred = Err(Unfit::Refused(Refusal::CouponOtherOrder));

    assert_eq!(redeem(0).await, Ok(()));
    // A thousand in all may try: the others come too early with their undo, and some too late.
    for number in 1..1_100 {
        assert_eq!(restore(number).await, barred, "{number}");
    }
    assert_eq!(restore(0).await, Ok(()));
    for number in [0, 1, 999, 1_000, 1_099, 5_000] {
        assert_eq!(redeem(number).await, barred, "{number}");
        assert_eq!(restore(number).await, Ok(()), "{number}");
    }
    let given_back = found(shelf.deals.give_back((&wish.deal_id, 1), &ann, "").await.unwrap()).unwrap();
    assert_eq!(given_back.state, State::Returned);
    assert_eq!(restore(6_000).await, Ok(()));
    shelf.ground.end().await;
}

#[tokio::test]
async fn what_has_expired_is_neither_redeemed_nor_given_back() {
    let mut service = Service::start("expired").await;
    service.create(valid_for(deal("lunch", 5), 1)).await.unwrap();
    for user in ["ann", "bob"] {
        service.claim("lunch", user).await.unwrap();
    }
    service.redeem("lunch-2", "bob", "o2").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(reason(service.redeem("lunch-1", "ann", "o1").await), "COUPON_EXPIRED");
    assert_eq!(reason(service.give_back("lunch-1", "ann").await), "COUPON_EXPIRED");
    assert_eq!(service.coupon("lunch-1").await.unwrap().state(), pb::CouponState::Expired);
    assert_eq!(service.restore("lunch-1", "o1").await.unwrap().state(), pb::CouponState::Expired);
    assert_eq!(service.redeem("lunch-2", "bob", "o2").await.unwrap().state(), pb::CouponState::Redeemed);
    assert_eq!(service.restore("lunch-2", "o2").await.unwrap().state(), pb::CouponState::Expired);
    end_clean(service, 2).await;
}

#[tokio::test]
async fn wrong_names_are_refused_by_field() {
    let mut service = scene("redeem-bad").await;
    let long = "x".repeat(65);
    for wrong in ["lunch", "lunch-", "lunch-0", "lunch-01", "lunch-x", "-1", "", "a b-1"] {
        assert_eq!(field(service.coupon(wrong).await), "coupon_id", "{wrong}");
        assert_eq!(field(service.redeem(wrong, "ann", "o1").await), "coupon_id", "{wrong}");
        assert_eq!(field(service.restore(wrong, "o1").await), "coupon_id", "{wrong}");
    }
    for wrong in ["", "a b", "a:b", long.as_str()] {
        assert_eq!(field(service.redeem("lunch-1", wrong, "o1").await), "user_id", "{wrong}");
        assert_eq!(field(service.redeem("lunch-1", "ann", wrong).await), "order_id", "{wrong}");
        assert_eq!(field(service.restore("lunch-1", wrong).await), "order_id", "{wrong}");
    }
    assert_eq!(reason(service.coupon("lunch-3").await), "COUPON_NOT_FOUND");
    assert_eq!(reason(service.coupon("dinner-1").await), "COUPON_NOT_FOUND");
    assert_eq!(service.coupon("lunch-1").await.unwrap().state(), pb::CouponState::Issued);
    service.end().await;
}
