//! Ranking on real servers: each test in a namespace and a database of its own.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod calendar;
mod scene;
mod service;
mod shelf;

mod again;
mod audit;
mod away;
mod bad_input;
mod boards;
mod count;
mod crowd;
mod deadlock;
mod dies;
mod poison;
mod rebuild;
mod top;
mod watch;
