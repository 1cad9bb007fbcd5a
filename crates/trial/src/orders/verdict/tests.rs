mod scene;

use super::*;
use crate::orders::answer::Outcome;
use crate::orders::deeds::Kind;
use crate::orders::journal::Call;
use crate::orders::kept::{Account, Coupon, Inside, Item, Line, Payment, Score};
use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;
use scene::{DAY, Run, order_id, refused, yes};

/// The rule that is broken, and by what.
fn one(rule: Rule, about: &str) -> Vec<(Rule, String)> {
    vec![(rule, about.to_owned())]
}

/// What is found where the order `number` is changed so.
fn with_order(number: usize, change: impl FnOnce(&mut Order)) -> Vec<(Rule, String)> {
    let mut run = Run::exact();
    change(run.order(number));
    run.found()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Run::exact().found(), []);
    let mut without = Run::exact();
    without.deeds = None;
    assert_eq!(without.found(), []);
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
fn stock_that_is_not_what_was_put_in_is_found() {
    let change = |change: fn(&mut Item)| {
        let mut run = Run::exact();
        change(&mut run.kept.items[0]);
        run.found()
    };
    let burger = one(Rule::Stock, "item burger");
    assert_eq!(change(|item| item.stock += 1), burger);
    assert_eq!(change(|item| item.sold -= 1), burger);
    assert_eq!(change(|item| (item.stock, item.sold) = (item.stock - 1, item.sold + 1)), burger);
    let mut run = Run::exact();
    run.kept.items.remove(1);
    assert_eq!(run.found(), one(Rule::Stock, "item cake"));
}

#[test]
fn a_balance_that_is_not_the_sum_is_found() {
    let mut run = Run::exact();
    run.kept.accounts[1].balance += 1;
    let bob = (Rule::Balance, "account bob".to_owned());
    assert_eq!(run.found(), [bob.clone(), bob.clone()], "by what was used, and by its entries");
    let mut run = Run::exact();
    run.entry("bob", "EARN", 5, None);
    assert_eq!(run.found(), one(Rule::Balance, "account bob"));
    let mut run = Run::exact();
    run.kept.entries.iter_mut().filter(|entry| entry.user_id == "bob").for_each(|entry| entry.balance_after += 1);
    assert_eq!(run.found(), [bob]);
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

#[test]
fn scores_and_boards_that_are_not_what_was_sold_are_found() {
    let burger = |rule| one(rule, "item burger");
    let mut day = Run::exact();
    day.kept.days[0].score += 1;
    day.show = |shown| shown.days[0].score -= 1;
    assert_eq!(day.found(), burger(Rule::Scores));
    let mut all = Run::exact();
    all.kept.all_time[0].score -= 1;
    all.show = |shown| shown.top[0].score += 1;
    assert_eq!(all.found(), burger(Rule::Scores));
    let mut board = Run::exact();
    board.show = |shown| shown.days[0].score = 0;
    assert_eq!(board.found(), burger(Rule::Boards));
    let mut top = Run::exact();
    top.show = |shown| shown.top.clear();
    assert_eq!(top.found().len(), 2);
    // Another day is not the day of the sale.
    let mut moved = Run::exact();
    moved.kept.days[0].day = "2030-02-01".to_owned();
    moved.show = |shown| shown.days[0].day = DAY.to_owned();
    assert_eq!(moved.found().len(), 2);
    assert!(moved.found().iter().all(|(rule, _)| *rule == Rule::Scores));
}

#[test]
fn whoever_is_not_among_the_five_best_is_not_missed() {
    let mut run = Run::exact();
    run.show = |shown| {
        let best = |number: usize| Score { day: String::new(), item_id: format!("x{number}"), score: 100 };
        shown.top = (0..TOP).map(best).collect();
    };
    assert_eq!(run.found(), []);
    run.show = |shown| {
        let worse = |number: usize| Score { day: String::new(), item_id: format!("x{number}"), score: 1 };
        shown.top = (0..TOP).map(worse).collect();
    };
    assert_eq!(run.found(), [(Rule::Boards, "item burger".to_owned()), (Rule::Boards, "item cake".to_owned())]);
}

#[test]
fn a_service_that_shows_something_else_is_found() {
    let shows = |show: fn(&mut Shown)| {
        let mut run = Run::exact();
        run.show = show;
        run.found()
    };
    assert_eq!(shows(|shown| shown.orders[0].state = OrderState::Pending), one(Rule::Face, "o0"));
    assert_eq!(shows(|shown| shown.orders[0].total += 1), one(Rule::Face, "o0"));
    assert_eq!(shows(|shown| shown.orders.extend(shown.orders.first().cloned())), one(Rule::Face, "o0"));
    assert_eq!(shows(|shown| shown.payments.clear()).len(), 4);
    assert_eq!(shows(|shown| shown.accounts[0].balance += 1), one(Rule::Face, "account ada"));
    assert_eq!(shows(|shown| shown.items[0].stock += 1), one(Rule::Face, "item burger"));
}

#[test]
fn only_what_is_told_of_by_events_is_waited_for() {
    let verdict = |rules: &[Rule]| Verdict {
        violations: rules.iter().map(|rule| Violation::new(*rule, "o1", "is wrong")).collect(),
    };
    assert!(verdict(&[Rule::Scores, Rule::Boards, Rule::CouponRow]).may_arrive());
    assert!(!verdict(&[Rule::Scores, Rule::Charge]).may_arrive());
}

#[test]
fn each_violation_is_one_sentence_that_names_what_it_is_about() {
    let mut run = Run::exact();
    run.deed("o0", Kind::Charged, 1_300);
    let said: Vec<String> = run.judged().violations.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["o0 was charged 2 times at the provider, 2600 in all"]);
}
