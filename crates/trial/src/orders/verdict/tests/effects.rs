//! What each order has done to coupons, points and money.

use super::run::order_id;
use super::*;
use crate::orders::kept::{Coupon, Payment};
use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;

#[test]
fn a_coupon_that_is_not_with_its_order_is_found() {
    let mut redis = Run::exact();
    redis.show = |shown| (shown.coupons[0].state, shown.coupons[0].order_id) = ("ISSUED".to_owned(), None);
    assert_eq!(redis.found(), one(Rule::Coupon, "o0"));
    let mut another = Run::exact();
    another.show = |shown| shown.coupons[0].order_id = Some("o3".to_owned());
    assert_eq!(another.found(), one(Rule::Coupon, "o0"));
    let mut postgres = Run::exact();
    postgres.show = |shown| shown.coupons[0].state = "REDEEMED".to_owned();
    postgres.kept.coupons[0].state = "RETURNED".to_owned();
    assert_eq!(postgres.found(), one(Rule::CouponRow, "o0"));
    postgres.kept.coupons.clear();
    postgres.show = |shown| {
        shown.coupons = vec![Coupon {
            coupon_id: "lunch-1".to_owned(),
            user_id: "ada".to_owned(),
            order_id: Some(order_id(0)),
            state: "REDEEMED".to_owned(),
        }];
    };
    assert_eq!(postgres.found(), one(Rule::CouponRow, "o0"));
}

#[test]
fn a_coupon_of_an_undone_order_that_is_not_restored_is_found() {
    let mut run = Run::exact();
    run.undo(0, OrderState::Failed, "PAYMENT_UNSETTLED");
    run.order(0).was_paid = false;
    (run.is_hurt, run.order(0).inside.is_silent) = (true, true);
    assert_eq!(run.found(), []);
    (run.kept.coupons[0].state, run.kept.coupons[0].order_id) = ("REDEEMED".to_owned(), Some("o0".to_owned()));
    let about = "coupon lunch-1".to_owned();
    assert_eq!(run.found(), [(Rule::Coupon, about.clone()), (Rule::CouponRow, about)]);
}

#[test]
fn points_that_were_taken_twice_not_at_all_or_not_given_back_are_found() {
    // The balance follows from the entries, so that only the order is wrong, and the account with it.
    let both = |number: usize| vec![(Rule::Points, order_id(number)), (Rule::Balance, "account ada".to_owned())];
    let mut twice = Run::exact();
    twice.entry("ada", "DEDUCT", -500, Some(0));
    assert_eq!(
        twice.found(),
        [
            (Rule::Points, "o0".to_owned()),
            (Rule::Balance, "account ada".to_owned()),
            (Rule::Balance, "account ada".to_owned())
        ],
        "and the account is below zero"
    );
    let mut never = Run::exact();
    never.kept.entries.retain(|entry| entry.order_id.as_deref() != Some("o0"));
    never.settle_accounts();
    assert_eq!(never.found(), both(0));
    let mut kept = Run::exact();
    kept.kept.entries.retain(|entry| entry.kind != "REFUND");
    kept.settle_accounts();
    assert_eq!(kept.found(), both(3));
    let mut stranger = Run::exact();
    stranger.entry("bob", "REFUND", 0, Some(0));
    assert_eq!(stranger.found(), one(Rule::Points, "o0"));
}

#[test]
fn a_charge_that_is_not_what_the_order_says_is_found() {
    let mut never = Run::exact();
    never.kept.payments.retain(|payment| payment.order_id != "o0");
    assert_eq!(never.found(), [(Rule::Charge, "o0".to_owned()), (Rule::Log, "o0".to_owned())]);
    for change in [
        |payment: &mut Payment| payment.amount = 1_800,
        |payment: &mut Payment| payment.user_id = "bob".to_owned(),
        |payment: &mut Payment| payment.refunded = 1,
    ] {
        let mut run = Run::exact();
        change(run.payment("o0"));
        assert_eq!(run.found(), one(Rule::Charge, "o0"));
    }
    let mut part = Run::exact();
    part.payment("o3").refunded = 799;
    assert_eq!(part.found(), one(Rule::Charge, "o3"));
    let mut kept = Run::exact();
    (kept.payment("o3").state, kept.payment("o3").refunded) = (PaymentState::Charged, 0);
    assert_eq!(kept.found(), one(Rule::Charge, "o3"));
    let mut open = Run::exact();
    open.payment("o1").state = PaymentState::Pending;
    assert_eq!(open.found(), one(Rule::Charge, "o1"));
}

#[test]
fn a_provider_that_did_something_else_is_found() {
    let log = one(Rule::Log, "o0");
    let mut twice = Run::exact();
    twice.deed("o0", Kind::Charged, 1_300);
    assert_eq!(twice.found(), log);
    let mut refunded = Run::exact();
    refunded.deed("o0", Kind::Refunded, 1_300);
    assert_eq!(refunded.found(), log);
    let mut declined = Run::exact();
    declined.deed("o1", Kind::Charged, 1_000);
    assert_eq!(declined.found(), one(Rule::Log, "o1"));
    let mut both = Run::exact();
    both.deed("o1", Kind::Charged, 1_000);
    both.deed("o1", Kind::Refunded, 1_000);
    assert_eq!(both.found(), one(Rule::Log, "o1"), "net zero, and its payment says that it was never charged");
    let mut nobody = Run::exact();
    nobody.deed("o9", Kind::Charged, 1);
    assert_eq!(nobody.found(), one(Rule::Log, "o9"));
    nobody.is_alone = false;
    assert_eq!(nobody.found(), [], "it may be somebody else's");
}
