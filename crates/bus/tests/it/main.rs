//! The bus on real servers, with a small service of the tests' own: each test in a namespace and a database of its own.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod counting;
mod place;
mod running;
mod log;
mod kafka;
mod door;

mod lease;
mod order;
mod repeats;
mod rebalance;
mod shuffle;
mod poison;
mod copier;
mod repair;
mod discard;
mod several;
mod replay;
mod damage;
mod limit;
mod frozen;
mod span;
mod partitions;
mod trim;
mod standstill;
mod trace;
mod outbox;
