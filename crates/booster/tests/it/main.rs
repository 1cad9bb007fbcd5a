//! The executable, as an operator and as a client meet it: real processes, killed by their pids.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]
#![expect(clippy::print_stderr, reason = "the seed of a test is printed, so that it can be repeated")]

mod booster;
mod crowd;
mod whole;

mod audit;
mod deal;
mod dlq;
mod faults;
mod histories;
mod manual;
mod metrics;
mod operate;
mod repeats;
mod replay;
mod returns;
mod rolling;
mod saga;
mod sentences;
mod survive;
