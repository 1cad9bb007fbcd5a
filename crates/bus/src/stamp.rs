//! Stamping: each tag is told once which node may serve it.

use anyhow::Context as _;
use kit::postgres::Pool;
use kit::redis::Redis;

use crate::journal::{Keys, Tag};
use crate::postgres::journal;

/// Stamps the tags that have never been stamped; returns how many. A tag that PostgreSQL knows is left alone, also when
/// Redis has lost it: such a tag stays frozen until an operator has looked.
///
/// # Errors
/// Redis or PostgreSQL cannot be reached.
pub async fn stamp(redis: &Redis, pool: &Pool, keys: &Keys) -> anyhow::Result<usize> {
    let known = journal::stamped(pool).await?;
    let mut stamped = 0;
    for tag in Tag::all().filter(|tag| !known.contains(tag)) {
        let id = uuid::Uuid::now_v7().to_string();
        let stamp = crate::redis::stamp(redis, keys, tag, &id).await.with_context(|| format!("stamping tag {tag}"))?;
        journal::note_stamp(pool, tag, &stamp.node_id, &stamp.journal, stamp.epoch).await?;
        stamped += 1;
    }
    Ok(stamped)
}
