//! What all orders together have done, and what is shown of it.

use super::run::DAY;
use super::*;
use crate::orders::kept::{Item, Score};
use proto::order::v1::OrderState;

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
