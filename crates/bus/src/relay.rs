//! The way to Kafka, from both of its beginnings: the journals in Redis and the outbox in PostgreSQL.
//!
//! At least once: what was acknowledged and not noted as such is sent again, and the inbox knows it. A producer that has failed
//! once is of no more use; a fault ends one turn, and everything begins anew at what is known.

pub mod journal;
pub mod outbox;
mod dead_letters;
mod parking;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pause after a fault before everything is begun anew.
const BACKOFF: Duration = Duration::from_millis(500);
/// How often it is said that a relay begins anew for the same cause.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// The turns of one relay.
struct Turns {
    service: &'static str,
    relay: &'static str,
    /// Why it last began anew, and when that was said.
    said: Option<(String, Instant)>,
}

impl Turns {
    fn of(service: &'static str, relay: &'static str) -> Self {
        Self { service, relay, said: None }
    }

    /// A turn has ended: after a fault a moment passes before the next. The same cause is not said all the time.
    async fn rest(&mut self, ended: anyhow::Result<()>, told: &CancellationToken) {
        let Err(error) = ended else { return };
        let (service, relay, cause) = (self.service, self.relay, format!("{error:#}"));
        let is_known = self.said.as_ref().is_some_and(|(said, at)| *said == cause && at.elapsed() < SAID_EVERY);
        if !is_known {
            tracing::warn!(service, relay, cause, "the relay begins anew");
            self.said = Some((cause, Instant::now()));
        }
        told.run_until_cancelled(tokio::time::sleep(BACKOFF)).await;
    }
}

/// Host and process, for the one who looks into the table.
fn holder() -> String {
    format!("{}:{}", std::env::var("HOSTNAME").unwrap_or_default(), std::process::id())
}
