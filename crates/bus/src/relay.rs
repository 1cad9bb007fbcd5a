//! The way to Kafka, from both of its beginnings: the journals in Redis and the outbox in PostgreSQL.
//!
//! At least once: what was acknowledged and not noted as such is sent again, and the inbox knows it. A producer that has failed
//! once is of no more use; a fault ends one turn, and everything begins anew at what is known.

pub mod journal;
pub mod outbox;
mod dead_letters;
mod parking;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Pause after a fault before everything is begun anew.
const BACKOFF: Duration = Duration::from_millis(500);

/// A turn has ended: after a fault a moment passes before the next.
async fn rest(ended: anyhow::Result<()>, told: &CancellationToken) {
    if let Err(error) = ended {
        tracing::warn!(cause = format!("{error:#}"), "the relay begins anew");
        told.run_until_cancelled(tokio::time::sleep(BACKOFF)).await;
    }
}

/// Host and process, for the one who looks into the table.
fn holder() -> String {
    format!("{}:{}", std::env::var("HOSTNAME").unwrap_or_default(), std::process::id())
}
