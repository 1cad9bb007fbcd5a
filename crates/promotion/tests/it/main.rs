//! Promotion on real servers: each test in a namespace and a database of its own.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod service;
mod shelf;

mod archive;
mod audit;
mod bad_input;
mod bounds;
mod change;
mod claim;
mod clock;
mod create;
mod errand;
mod fence;
mod give_back;
mod late;
mod list;
mod model;
mod previous;
mod redeem;
mod road;
mod watch;
