//! Point on real servers: each test in a namespace and a database of its own.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod service;
mod orders;
mod shelf;

mod append_only;
mod audit;
mod bad_input;
mod balance;
mod concurrent;
mod expiry;
mod list;
mod repeats;
mod requests;
mod steps;
mod told;
