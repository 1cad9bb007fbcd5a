//! The executable, as an operator and as a client meet it: real processes, killed by their pids.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod booster;

mod faults;
mod manual;
mod operate;
mod survive;
