mod run;
mod told;
mod effects;
mod sums;

use super::*;
use crate::orders::deeds::Kind;
use run::Run;

/// The rule that is broken, and by what.
fn one(rule: Rule, about: &str) -> Vec<(Rule, String)> {
    vec![(rule, about.to_owned())]
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Run::exact().found(), []);
    let mut without = Run::exact();
    without.deeds = None;
    assert_eq!(without.found(), []);
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
