//! Stamping: each tag is told once which node may serve it.

use anyhow::Context as _;
use kit::postgres::Pool;
use kit::redis::Redis;

use crate::journal::{Keys, Tag};
use crate::postgres::tag::{self, Known};

/// Stamps the tags that have never been stamped; returns how many. A tag that PostgreSQL knows is left alone, also when
/// Redis has lost it: such a tag stays frozen until an operator has looked.
///
/// # Errors
/// Redis or PostgreSQL cannot be reached.
pub async fn stamp(redis: &Redis, pool: &Pool, keys: &Keys) -> anyhow::Result<usize> {
    let known = tag::all(pool).await?;
    let mut stamped = 0;
    for tag in Tag::all().filter(|tag| !known.contains_key(tag)) {
        let id = uuid::Uuid::now_v7().to_string();
        let stamp = crate::redis::stamp(redis, keys, tag, &id).await.with_context(|| format!("stamping tag {tag}"))?;
        // The fence's own words: the tag may have been stamped before PostgreSQL knew of it.
        let journal = stamp.journal.unwrap_or(id);
        tag::insert(pool, tag, &Known { node_ids: stamp.node_ids, journal, epoch: stamp.epoch }).await?;
        stamped += 1;
    }
    Ok(stamped)
}
