//! What `trial orders` refuses before anything is started.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;

/// Runs it with nothing but `args`, and answers what it said; it must be a refusal.
fn refusal(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trial"));
    let output = command.arg("orders").args(args).env_remove("BOOSTER_POSTGRES_URL").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!said.contains("starting"), "{said}");
    said
}

#[test]
fn kills_are_for_processes_of_its_own_and_not_for_those_at_an_address() {
    let said = refusal(&["--kill", "point", "--addr", "http://127.0.0.1:50051"]);
    assert!(said.contains("'--kill <SERVICES>' cannot be used with '--addr <URL>'"), "{said}");
}

#[test]
fn whoever_is_killed_is_one_of_three() {
    let said = refusal(&["--kill", "order,promotion"]);
    assert!(said.contains("[possible values: order, point, payment]"), "{said}");
}

#[test]
fn a_share_is_written_in_per_cent() {
    let said = refusal(&["--declined", "10"]);
    assert!(said.contains("a share is written like 10%"), "{said}");
}

#[test]
fn what_is_kept_has_to_be_looked_at() {
    let said = refusal(&["--addr", "http://127.0.0.1:1"]);
    assert_eq!(said, "trial: --postgres-url is missing: what was told is held against what is kept there\n");
}

#[test]
fn an_executable_that_is_missing_is_one_sentence_that_says_what_to_build() {
    let said = refusal(&["--booster", "/nowhere/booster"]);
    assert!(said.starts_with("trial: there is no /nowhere/booster: build it with cargo build"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
