//! What `trial rush --kill` refuses before anything is started.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;

/// Runs it with nothing but `args`, and answers what it said; it must be a refusal.
fn refusal(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trial")).arg("rush").args(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!said.contains("starting"), "{said}");
    said
}

#[test]
fn kills_are_for_processes_of_its_own_and_not_for_those_at_an_address() {
    let said = refusal(&["--kill", "promotion", "--addr", "http://127.0.0.1:50051"]);
    assert!(said.contains("'--kill <WHAT>' cannot be used with '--addr <URL>'"), "{said}");
}

#[test]
fn what_is_killed_is_one_of_two() {
    let said = refusal(&["--kill", "everything"]);
    assert!(said.contains("[possible values: promotion, redis]"), "{said}");
}

#[test]
fn an_executable_that_is_missing_is_one_sentence_that_says_what_to_build() {
    let said = refusal(&["--kill", "redis", "--booster", "/nowhere/booster"]);
    assert!(said.starts_with("trial: there is no /nowhere/booster: build it with cargo build"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
