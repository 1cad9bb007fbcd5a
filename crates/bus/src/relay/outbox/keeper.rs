//! Keeps the table of the outbox: partitions for the next hours, none that is over and sent; and how much waits in it.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::Relay;
use crate::postgres::outbox;

/// How often it is seen how much waits for Kafka.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long that may take.
const LOOK_MOST: Duration = Duration::from_secs(5);
/// How often partitions are made and dropped.
const PARTITIONS_EVERY: Duration = Duration::from_secs(60);
/// How long that may take.
const PARTITIONS_MOST: Duration = Duration::from_secs(30);

/// Keeps it for as long as the process lives.
pub(super) async fn keep(relay: &Relay) {
    let mut kept = None::<Instant>;
    loop {
        if kept.is_none_or(|kept| kept.elapsed() > PARTITIONS_EVERY) {
            kept = Some(Instant::now());
            let made = tokio::time::timeout(PARTITIONS_MOST, partitions(relay)).await;
            if let Err(error) = made.context("PostgreSQL did not answer in time").and_then(|made| made) {
                tracing::warn!(cause = format!("{error:#}"), "the partitions of the outbox cannot be kept now");
            }
        }
        let looked = tokio::time::timeout(LOOK_MOST, look(relay)).await;
        if !matches!(looked, Ok(Ok(()))) {
            // A number that is old would look like one that is well.
            tell(relay, f64::NAN, f64::NAN);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A partition that somebody still writes into, or has not sent, waits for the next time.
async fn partitions(relay: &Relay) -> anyhow::Result<()> {
    for begin in outbox::make_partitions(&relay.pool).await? {
        match outbox::drop_sent(&relay.pool, begin).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(%begin, "a partition of the outbox is over, and not all of it was sent"),
            Err(failure) if failure.is_away() => {
                tracing::info!(%begin, "a partition of the outbox is in use, and is dropped later");
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

async fn look(relay: &Relay) -> anyhow::Result<()> {
    let backlog = outbox::backlog(&relay.pool).await?;
    relay.outbox.note_unsent(backlog.rows);
    tell(relay, backlog.rows as f64, backlog.seconds);
    Ok(())
}

fn tell(relay: &Relay, rows: f64, seconds: f64) {
    metrics::gauge!("booster_outbox_unsent_rows", "service" => relay.service).set(rows);
    metrics::gauge!("booster_outbox_oldest_seconds", "service" => relay.service).set(seconds);
}
