//! The smallest process (`examples/smallest.rs`) as its parent sees it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A process of its own, and what it says.
pub struct Smallest {
    child: Child,
    says: BufReader<ChildStderr>,
}

impl Smallest {
    pub fn start(more: &[&str]) -> Self {
        let tests = std::env::current_exe().unwrap();
        let built: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/smallest");
        let mut child = Command::new(&built)
            .env("BOOSTER_GRPC_ADDR", "127.0.0.1:0")
            .env("BOOSTER_ADMIN_ADDR", "127.0.0.1:0")
            .env("BOOSTER_LOG_FORMAT", "json")
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; cargo test builds it", built.display()));
        let says = BufReader::new(child.stderr.take().unwrap());
        Self { child, says }
    }

    /// Reads what it says until it says `message`; gives that line.
    pub fn until(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "it ended without saying {message:?}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == message {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code, and what else it said.
    pub fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Smallest {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
    }
}

#[test]
fn sigterm_and_sigint_drain_it() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Smallest::start(&["--takes", "100ms"]);
        process.until("ready");
        process.signal(signal);
        process.until("told to end");
        process.until("drained");
        assert_eq!(process.end().0, 0);
    }
}

#[test]
fn a_second_signal_ends_it_hard() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut process = Smallest::start(&["--takes", "1h", "--drain-grace", "1h"]);
        process.until("ready");
        process.signal("-TERM");
        process.until("told to end");
        process.signal(signal);
        assert!(process.until("told again; ending hard")["running"].as_str().unwrap().contains("batch"));
        assert_eq!(process.end().0, code);
    }
}

#[test]
fn the_end_of_the_grace_period_ends_it_hard_and_names_what_hangs() {
    let mut process = Smallest::start(&["--takes", "1h", "--drain-grace", "100ms"]);
    process.until("ready");
    process.signal("-TERM");
    assert_eq!(process.until("the grace period is over; ending hard")["running"], "[\"batch\"]");
    assert_eq!(process.end().0, 1);
}

#[test]
fn a_taken_port_is_one_sentence_and_an_exit_code() {
    let mut first = Smallest::start(&[]);
    let addr = first.until("started")["admin"].as_str().unwrap().to_owned();
    let (code, said) = Smallest::start(&["--admin-addr", &addr]).end();
    assert_eq!((code, said.lines().count()), (3, 1), "{said}");
    assert!(said.contains(&format!("--admin-addr {addr} cannot be listened on: Address already in use")), "{said}");
}

#[test]
fn bad_configuration_is_one_sentence_and_an_exit_code() {
    let (code, said) = Smallest::start(&["--trace-ratio", "7"]).end();
    assert_eq!((code, said.as_str()), (2, "booster: --trace-ratio is 7; it is from 0 to 1\n"));
    assert_eq!(Smallest::start(&["--drain-grace", "soon"]).end().0, 2);
}
