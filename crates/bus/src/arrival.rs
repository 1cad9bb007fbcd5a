//! Whether what the journals hold has taken effect.

use std::time::Duration;

use anyhow::Context as _;
use kit::postgres::{Failure, Pool};
use kit::redis::Redis;
use tokio::time::Instant;

use crate::journal::{EntryId, Keys, Position, Tag};
use crate::postgres::{journal, parked};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How far a journal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Everything that it held when the question was asked has taken effect.
    Complete,
    /// Something is still on its way, after all that time.
    Behind {
        /// What has taken effect.
        progress: Position,
        /// What the journal held.
        last: Position,
    },
    /// This Redis node may not serve the tag.
    Frozen,
}

/// Waits until everything that the journal of `tag` holds now has taken effect, or `patience` ends.
///
/// # Errors
/// Redis or PostgreSQL cannot be reached.
pub async fn wait(redis: &Redis, pool: &Pool, keys: &Keys, tag: Tag, patience: Duration) -> anyhow::Result<Arrival> {
    let Some(last) = crate::redis::last(redis, keys, tag).await.context("reading the journal")? else {
        return Ok(Arrival::Frozen);
    };
    if last.entry == EntryId::default() {
        return Ok(Arrival::Complete);
    }
    let deadline = Instant::now() + patience;
    loop {
        let progress = journal::progress(pool).await?.get(&tag).copied().unwrap_or_default();
        if progress >= last {
            return Ok(Arrival::Complete);
        }
        if Instant::now() >= deadline {
            return Ok(Arrival::Behind { progress, last });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How many events are parked, for each consumer that has any.
///
/// # Errors
/// PostgreSQL cannot be reached.
pub async fn parked(pool: &Pool) -> anyhow::Result<Vec<(String, i64)>> {
    Ok(parked::counts(pool).await?)
}

/// Whether everything up to a place of a journal has taken effect.
///
/// # Errors
/// PostgreSQL cannot be reached.
pub async fn is_past(pool: &Pool, tag: Tag, place: Position) -> Result<bool, Failure> {
    let progress = journal::progress(pool).await?.get(&tag).copied().unwrap_or_default();
    Ok(place.entry == EntryId::default() || progress >= place)
}

/// Whether an event is parked whose parking key begins like this, or an entry of this tag's journal, which may be about anything.
///
/// # Errors
/// PostgreSQL cannot be reached.
pub async fn is_parked(pool: &Pool, service: &str, tag: Tag, prefix: &str) -> Result<bool, Failure> {
    parked::any_of(pool, service, tag, prefix).await
}
