//! Order on real servers, among participants of the tests' own: each test in a namespace and a database of its own.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod participants;
mod running;
mod stage;

mod audit;
mod bad_input;
mod items;
mod killed;
mod lists;
mod moves;
mod placing;
mod steps;
