use super::*;
use crate::rush::Outcome;
use std::time::Duration;

const DEAL: &str = "d1";
const STOCK: u32 = 3;

/// Three winners, one of whom called twice, and one who came too late; everything is as it must be.
struct Case {
    entries: Vec<Entry>,
    listed: Vec<Row>,
    stored: Vec<Row>,
}

impl Case {
    fn exact() -> Self {
        let rows = vec![row(1, "ada"), row(2, "bob"), row(3, "cy")];
        let entries =
            vec![yes("ada", 1), yes("bob", 2), unknown("cy"), yes("cy", 3), no("dan", "SOLD_OUT"), yes("ada", 1)];
        Self { entries: entries.into_iter().enumerate().map(at).collect(), listed: rows.clone(), stored: rows }
    }

    /// Adds an attempt after all others.
    fn told(mut self, entry: Entry) -> Self {
        self.entries.push(at((self.entries.len(), entry)));
        self
    }

    /// Changes what is kept, in PostgreSQL and so in the list.
    fn kept(mut self, change: impl Fn(&mut Vec<Row>)) -> Self {
        change(&mut self.listed);
        change(&mut self.stored);
        self
    }

    fn found(&self) -> Vec<Violation> {
        let judged = |stored| {
            judge(&Evidence { deal_id: DEAL, stock: STOCK, entries: &self.entries, listed: &self.listed, stored })
                .violations
        };
        judged(Some(&self.stored))
    }

    /// What is found without a look into PostgreSQL.
    fn found_in_list(&self) -> Vec<Violation> {
        judge(&Evidence { deal_id: DEAL, stock: STOCK, entries: &self.entries, listed: &self.listed, stored: None })
            .violations
    }
}

fn at((number, mut entry): (usize, Entry)) -> Entry {
    entry.sent = Duration::from_millis(10 * number as u64);
    entry
}

fn entry(user: &str, outcome: Outcome) -> Entry {
    let took = Duration::from_millis(5);
    Entry { user: user.to_owned(), call: 1, attempt: 1, sent: Duration::ZERO, took, outcome }
}

fn yes(user: &str, rank: i64) -> Entry {
    entry(user, Outcome::Ok { rank, coupon_id: format!("{DEAL}-{rank}"), already_held: false })
}

fn no(user: &str, reason: &str) -> Entry {
    entry(user, Outcome::Refused { reason: reason.to_owned() })
}

fn unknown(user: &str) -> Entry {
    entry(user, Outcome::Unknown { code: "Unavailable".to_owned(), message: String::new() })
}

fn row(rank: i64, user: &str) -> Row {
    let coupon_id = Some(format!("{DEAL}-{rank}"));
    Row { rank, user: user.to_owned(), state: "ISSUED".to_owned(), seat: Some(rank), coupon_id }
}

fn user(name: &str) -> String {
    name.to_owned()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Case::exact().found(), []);
    assert_eq!(Case::exact().found_in_list(), []);
    assert_eq!(Case::exact().told(no("eve", "OVERLOADED")).told(no("eve", "SOLD_OUT")).found(), []);
}

#[test]
fn one_too_many_is_found() {
    let case = Case::exact().told(yes("eve", 4)).kept(|rows| rows.push(Row { seat: None, ..row(4, "eve") }));
    assert_eq!(case.found(), [Violation::Count { kept: 4, expected: 3..=3 }]);
}

#[test]
fn one_too_few_is_found() {
    let mut case = Case::exact().kept(|rows| rows.truncate(2));
    case.entries.retain(|entry| entry.user != "cy");
    assert_eq!(case.found(), [Violation::Count { kept: 2, expected: 3..=3 }]);
}

#[test]
fn whoever_gave_up_may_hold_a_coupon_or_not() {
    let mut with = Case::exact();
    with.entries.retain(|entry| entry.user != "dan" && !(entry.user == "cy" && entry.outcome.is_definite()));
    assert_eq!(with.found(), []);
    let without = with.kept(|rows| rows.truncate(2));
    assert_eq!(without.found(), []);
    let fewer = without.kept(|rows| rows.truncate(1));
    let lost = Violation::Lost { user: user("bob"), rank: 2 };
    assert_eq!(fewer.found(), [Violation::Count { kept: 1, expected: 2..=3 }, lost]);
}

#[test]
fn sold_out_is_wrong_while_something_is_left() {
    let mut case = Case::exact().kept(|rows| rows.truncate(2));
    case.entries.retain(|entry| entry.user != "cy" || !entry.outcome.is_definite());
    assert_eq!(case.found(), [Violation::Count { kept: 2, expected: 3..=3 }]);
}

#[test]
fn ranks_without_a_gap_from_one_on() {
    let mut gap = Case::exact().kept(|rows| rows[2] = Row { seat: Some(3), ..row(5, "cy") });
    gap.entries.retain(|entry| entry.user != "cy");
    assert_eq!(gap.told(yes("cy", 5)).found(), [Violation::Gap { ranks: 3..=4 }]);

    let mut below = Case::exact().kept(|rows| rows[2] = Row { seat: Some(3), ..row(0, "cy") });
    below.entries.retain(|entry| entry.user != "cy");
    assert_eq!(below.told(yes("cy", 0)).found(), [Violation::Below { rank: 0, user: user("cy") }]);
}

#[test]
fn a_rank_given_twice_is_found() {
    let mut case = Case::exact().kept(|rows| rows[2] = Row { seat: Some(3), ..row(2, "cy") });
    case.entries.retain(|entry| entry.user != "cy");
    let users = vec![user("bob"), user("cy")];
    assert_eq!(case.told(yes("cy", 2)).found(), [Violation::RankTwice { rank: 2, users }]);
}

#[test]
fn a_user_with_two_coupons_is_found() {
    let mut case = Case::exact().kept(|rows| rows[2].user = user("ada"));
    case.entries.retain(|entry| entry.user != "cy");
    assert_eq!(case.found(), [Violation::UserTwice { user: user("ada"), ranks: vec![1, 3] }]);
}

#[test]
fn seats_are_the_stock_and_each_is_given_once() {
    let twice = Case::exact().kept(|rows| rows[2].seat = Some(1));
    assert_eq!(twice.found(), [Violation::SeatTwice { seat: 1, ranks: vec![1, 3] }]);
    let beyond = Case::exact().kept(|rows| rows[2].seat = Some(4));
    assert_eq!(beyond.found(), [Violation::SeatBeyond { seat: 4, rank: 3 }]);
}

#[test]
fn a_coupon_that_nobody_used_is_issued() {
    let case = Case::exact().kept(|rows| rows[1].state = user("RETURNED"));
    assert_eq!(case.found(), [Violation::Spent { rank: 2, state: user("RETURNED") }]);
}

#[test]
fn a_promise_that_was_not_kept_is_found() {
    // Somebody who gave up has taken the rank, so that nothing else is wrong.
    let case = Case::exact().told(unknown("eve")).kept(|rows| rows[2].user = user("eve"));
    assert_eq!(case.found(), [Violation::Lost { user: user("cy"), rank: 3 }]);
    assert_eq!(case.found_in_list(), case.found());
}

#[test]
fn a_promise_of_another_rank_is_found() {
    let case = Case::exact().kept(|rows| {
        rows[0].user = user("bob");
        rows[1].user = user("ada");
    });
    let moved = |name, told, kept| Violation::Moved { user: user(name), told, kept };
    assert_eq!(case.found(), [moved("ada", 1, 2), moved("bob", 2, 1)]);
}

#[test]
fn a_repeat_with_another_rank_is_found() {
    let case = Case::exact().told(yes("ada", 2));
    assert_eq!(case.found(), [Violation::Changed { user: user("ada"), ranks: vec![1, 2] }]);
}

#[test]
fn a_holder_who_is_sent_away_is_found_unless_he_asked_before_he_was_told() {
    let case = Case::exact().told(no("ada", "SOLD_OUT"));
    assert_eq!(case.found(), [Violation::Forgotten { user: user("ada"), rank: 1 }]);
    let mut together = case;
    together.entries.last_mut().unwrap().sent = Duration::from_millis(1);
    assert_eq!(together.found(), []);
}

#[test]
fn a_coupon_of_somebody_who_was_sent_away_is_found() {
    let case = Case::exact().told(no("cy", "SOLD_OUT"));
    let mut case = case.kept(|rows| rows[2].user = user("dan"));
    case.entries.retain(|entry| entry.user != "cy");
    assert_eq!(case.found(), [Violation::Unwelcome { user: user("dan"), rank: 3 }]);
    assert_eq!(case.told(unknown("dan")).found(), [Violation::Unwelcome { user: user("dan"), rank: 3 }]);
}

#[test]
fn a_coupon_that_nobody_asked_for_is_found() {
    let mut case = Case::exact().kept(|rows| rows[2].user = user("eve"));
    case.entries.retain(|entry| entry.user != "cy");
    assert_eq!(case.found(), [Violation::Unmade { user: user("eve"), rank: 3 }]);
}

#[test]
fn a_refusal_without_a_reason_is_found() {
    let case = Case::exact().told(no("eve", "CLOSED"));
    assert_eq!(case.found(), [Violation::Odd { user: user("eve"), reason: user("CLOSED") }]);
}

#[test]
fn a_coupon_with_a_wrong_name_is_found() {
    let misnamed = [Violation::Misnamed { coupon_id: user("d1-7"), rank: 2 }];
    let mut listed = Case::exact();
    listed.listed[1].coupon_id = Some(user("d1-7"));
    assert_eq!(listed.found(), misnamed);
    let mut told = Case::exact();
    told.entries[1].outcome = Outcome::Ok { rank: 2, coupon_id: user("d1-7"), already_held: false };
    assert_eq!(told.found(), misnamed);
}

#[test]
fn a_list_that_is_not_what_postgres_holds_is_found() {
    let mut hidden = Case::exact();
    hidden.listed.pop();
    assert_eq!(hidden.found(), [Violation::Hidden { rank: 3, user: user("cy") }]);
    let mut twice = Case::exact();
    twice.listed.push(row(3, "cy"));
    assert_eq!(twice.found(), [Violation::Invented { rank: 3, user: user("cy") }]);
}

#[test]
fn each_violation_is_one_sentence() {
    let sentence = |violation: Violation| violation.to_string();
    assert_eq!(sentence(Violation::Count { kept: 4, expected: 3..=3 }), "4 coupons are kept, and there must be 3");
    assert_eq!(sentence(Violation::Gap { ranks: 3..=4 }), "ranks 3 to 4 are missing");
    assert_eq!(
        sentence(Violation::Lost { user: user("cy"), rank: 3 }),
        "cy was told rank 3, but no coupon of his is kept"
    );
    let said = "lunch: rank 2 is not in PostgreSQL (I2, I3)".to_owned();
    assert_eq!(sentence(Violation::Audited { said }), "booster audit: lunch: rank 2 is not in PostgreSQL (I2, I3)");
}
