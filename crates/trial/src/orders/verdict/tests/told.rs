//! What was told, and what became of each order by itself.

use super::run::{refused, yes};
use super::*;
use crate::orders::answer::Outcome;
use crate::orders::journal::Call;
use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;

/// What is found where the order `number` is changed so.
fn with_order(number: usize, change: impl FnOnce(&mut Order)) -> Vec<(Rule, String)> {
    let mut run = Run::exact();
    change(run.order(number));
    run.found()
}

#[test]
fn a_request_with_two_answers_or_two_orders_is_found() {
    let mut told = Run::exact();
    told.tell(0, Call::Again, yes("o9"));
    assert_eq!(told.found(), [(Rule::OneOrder, "request r-0".to_owned()), (Rule::OneOrder, "o9".to_owned())]);

    let mut made = Run::exact();
    let mut twin = made.order(1).clone();
    twin.order_id = "o9".to_owned();
    made.kept.orders.push(twin);
    assert_eq!(made.found(), one(Rule::OneOrder, "request r-1"));
}

#[test]
fn an_order_that_was_told_and_is_not_kept_is_found() {
    let mut run = Run::exact();
    run.kept.orders.retain(|order| order.order_id != "o1");
    run.kept.payments.retain(|payment| payment.order_id != "o1");
    assert_eq!(run.found(), [(Rule::OneOrder, "o1".to_owned()), (Rule::Log, "o1".to_owned())]);
}

#[test]
fn an_order_that_nobody_has_is_found() {
    let mut unasked = Run::exact();
    let mut twin = unasked.order(1).clone();
    twin.order_id = "o9".to_owned();
    twin.inside.request_id = None;
    unasked.kept.orders.push(twin);
    assert_eq!(unasked.found(), one(Rule::NoOther, "o9"));

    // Of the request that was refused for stock, and of the one with a wrong price.
    for number in [4, 6] {
        let mut refused = Run::exact();
        let mut twin = refused.order(1).clone();
        twin.order_id = "o9".to_owned();
        twin.inside.request_id = Some(format!("r-{number}"));
        refused.kept.orders.push(twin);
        assert!(refused.found().contains(&(Rule::NoOther, "o9".to_owned())), "{number}");
    }
}

#[test]
fn whoever_had_no_answer_may_have_an_order_or_not() {
    let mut run = Run::exact();
    run.entries.retain(|entry| entry.number != 1);
    run.tell(1, Call::Place, Outcome::Unknown { code: "Unavailable".to_owned(), message: String::new() });
    assert_eq!(run.found(), []);
    run.deeds.get_or_insert_default().retain(|deed| deed.key != "o1");
    run.kept.orders.retain(|order| order.order_id != "o1");
    run.kept.payments.retain(|payment| payment.order_id != "o1");
    assert_eq!(run.found(), []);
}

#[test]
fn a_refusal_without_a_reason_is_found() {
    for (reason, item_id, price) in
        [("OUT_OF_STOCK", "burger", ""), ("PRICE_CHANGED", "burger", "1000"), ("INVALID_FIELD", "", "")]
    {
        let mut run = Run::exact();
        run.entries.retain(|entry| entry.number != 4);
        run.tell(4, Call::Place, refused(reason, &[("item_id", item_id), ("unit_price_minor", price)]));
        assert_eq!(run.found(), one(Rule::Refusal, "request r-4"), "{reason}");
    }
}

#[test]
fn a_price_that_is_told_wrongly_is_found() {
    let mut run = Run::exact();
    run.entries.retain(|entry| entry.number != 6);
    run.tell(6, Call::Place, refused("PRICE_CHANGED", &[("item_id", "burger"), ("unit_price_minor", "1100")]));
    assert_eq!(run.found(), one(Rule::Refusal, "request r-6"));
}

#[test]
fn a_request_id_that_passes_for_another_order_is_found() {
    for outcome in [yes("o5"), refused("OUT_OF_STOCK", &[])] {
        let mut run = Run::exact();
        run.tell(5, Call::Forge, outcome);
        assert_eq!(run.found(), one(Rule::Refusal, "request r-5"));
    }
}

#[test]
fn an_order_that_does_not_end_is_found() {
    assert_eq!(with_order(1, |order| order.state = OrderState::Cancelling)[0], (Rule::Ends, "o1".to_owned()));
    let found = with_order(0, |order| order.state = OrderState::Pending);
    assert!(found.contains(&(Rule::Ends, "o0".to_owned())), "{found:?}");
}

#[test]
fn an_order_that_failed_for_no_reason_is_found() {
    let mut run = Run::exact();
    run.undo(5, OrderState::Failed, "PAYMENT_DECLINED");
    run.order(5).was_paid = false;
    assert!(run.found().contains(&(Rule::Fate, "o5".to_owned())));
    // Where its step was given up because somebody had been killed, it may.
    let order = run.order(5);
    (order.reason, order.inside.is_silent) = ("PAYMENT_UNSETTLED".to_owned(), true);
    assert_eq!(run.found(), one(Rule::Fate, "o5"));
    run.is_hurt = true;
    assert_eq!(run.found(), []);
}

#[test]
fn a_declined_order_that_failed_for_another_reason_is_found() {
    assert_eq!(with_order(1, |order| order.reason = "PAYMENT_UNSETTLED".to_owned()), one(Rule::Fate, "o1"));
    // And one whose payment was not declined.
    let mut run = Run::exact();
    run.payment("o1").state = PaymentState::Voided;
    assert_eq!(run.found(), one(Rule::Charge, "o1"));
}

#[test]
fn an_order_that_failed_after_it_was_paid_is_found() {
    assert_eq!(with_order(1, |order| order.was_paid = true), one(Rule::Fate, "o1"));
}

#[test]
fn an_order_that_is_paid_and_had_to_fail_is_found() {
    let mut run = Run::exact();
    run.pay(1);
    assert_eq!(run.found(), one(Rule::Fate, "o1"));
}

#[test]
fn a_thief_who_gets_the_coupon_of_another_is_found() {
    let mut run = Run::exact();
    run.scene.wishes[5].coupon = run.scene.wishes[0].coupon;
    run.scene.wishes[5].user = 1;
    let order = run.order(5);
    (order.coupon_id, order.user_id) = (Some("lunch-1".to_owned()), "bob".to_owned());
    let found = run.found();
    assert!(found.contains(&(Rule::Fate, "o5".to_owned())), "{found:?}");
    assert!(found.contains(&(Rule::Coupon, "o5".to_owned())), "{found:?}");
}

#[test]
fn a_cancellation_that_was_granted_and_forgotten_is_found() {
    let mut run = Run::exact();
    run.tell(1, Call::Cancel, yes("o1"));
    assert_eq!(run.found(), one(Rule::Fate, "o1"));
    let mut run = Run::exact();
    run.tell(5, Call::Cancel, yes("o5"));
    assert_eq!(run.found(), one(Rule::Fate, "o5"));
}

#[test]
fn a_cancellation_that_nobody_granted_is_found() {
    let mut run = Run::exact();
    run.entries.retain(|entry| entry.call != Call::Cancel);
    assert_eq!(run.found(), one(Rule::Fate, "o3"));
    run.tell(3, Call::Cancel, Outcome::Unknown { code: "Unavailable".to_owned(), message: String::new() });
    assert_eq!(run.found(), [], "its answer was lost");
}

#[test]
fn a_cancellation_that_is_refused_while_it_could_be_is_found() {
    let mut run = Run::exact();
    run.tell(5, Call::Cancel, refused("NOT_CANCELLABLE", &[]));
    assert_eq!(run.found(), one(Rule::Fate, "o5"));
}

#[test]
fn an_order_that_does_not_stand_where_it_was_moved_is_found() {
    for state in [OrderState::Paid, OrderState::Shipping] {
        assert_eq!(with_order(5, |order| order.state = state), one(Rule::Fate, "o5"));
    }
    let mut run = Run::exact();
    run.tell(5, Call::Advance { to: 2 }, refused("INVALID_TRANSITION", &[]));
    assert_eq!(run.found(), one(Rule::Fate, "o5"));
}

#[test]
fn amounts_that_do_not_follow_from_the_order_are_found() {
    let amounts = (Rule::Amounts, "o0".to_owned());
    assert!(with_order(0, |order| order.discount = 100).contains(&amounts));
    assert!(with_order(0, |order| order.total = 1_700).contains(&amounts));
    assert!(with_order(0, |order| order.points = 400).contains(&amounts));
    assert!(with_order(0, |order| order.lines[0].quantity = 3).contains(&amounts));
    assert!(with_order(0, |order| order.lines[0].unit_price = 999).contains(&amounts));
}
