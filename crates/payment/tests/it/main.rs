//! Payment on real servers, with the sandbox provider as it is shipped: each test in a namespace and a database of its own. What the
//! provider has written down is the verdict.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod running;
mod sandbox;
mod scene;

mod kinds;
mod lost;
mod slow;
mod outage;
mod killed;
mod poison;
mod guard;
mod door;
mod audit;
mod provider;
