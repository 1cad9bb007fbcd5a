//! The journals in Redis.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use fred::types::Value;
use kit::redis::{CallError, Library, Redis};

use crate::journal::{Entry, EntryId, Keys, Position, Tag};

/// The prelude of every service's library: fence and clock.
pub const FENCE: &str = include_str!("redis/fence.lua");
/// Reading, trimming and stamping of journals.
pub const LIBRARY: Library =
    Library { name: "bus_2", sources: &[FENCE, include_str!("redis/stamp.lua"), include_str!("redis/journal.lua")] };

/// What a read of a journal brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// This node may not serve the tag.
    Frozen,
    /// Entries in order, how many the journal holds in all, and the highest that it ever held.
    Entries { epoch: i64, length: i64, last: EntryId, entries: Vec<Entry> },
}

/// Why a journal could not be read or stamped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("Redis did not answer")]
    Call(#[from] CallError),
    #[error("Redis answered something else")]
    Reply(#[from] fred::error::Error),
    #[error(transparent)]
    Shape(#[from] anyhow::Error),
}

/// The entries of a tag from `from` on (without it, if `after`), at most `count`.
pub(crate) async fn read(
    redis: &Redis,
    keys: &Keys,
    tag: Tag,
    from: EntryId,
    after: bool,
    count: usize,
) -> Result<Read, JournalError> {
    let first = if after { format!("({from}") } else { from.to_string() };
    let args = vec![Value::from(first), Value::from(count.to_string())];
    let reply = call(redis, keys, tag, "bus_read_2", args).await?;
    let mut parts = reply.into_array().into_iter();
    if status(parts.next())? == "FROZEN" {
        return Ok(Read::Frozen);
    }
    let epoch = number(parts.next())?;
    let length = number(parts.next())?;
    let last = status(parts.next())?.parse().map_err(anyhow::Error::new)?;
    let list = parts.next().context("the reply has no entries")?;
    let entries = list.into_array().into_iter().map(|entry| one(tag, epoch, entry)).collect::<Result<_, _>>()?;
    Ok(Read::Entries { epoch, length, last, entries })
}

/// The highest entry of a tag; nothing where this node may not serve it.
pub(crate) async fn last(redis: &Redis, keys: &Keys, tag: Tag) -> Result<Option<Position>, JournalError> {
    let mut parts = call(redis, keys, tag, "bus_last_2", Vec::new()).await?.into_array().into_iter();
    if status(parts.next())? == "FROZEN" {
        return Ok(None);
    }
    let epoch = number(parts.next())?;
    let entry = status(parts.next())?.parse().map_err(anyhow::Error::new)?;
    Ok(Some(Position { epoch, entry }))
}

/// Drops the entries below `lowest`. False where this node may not serve the tag, or the epoch is another.
pub(crate) async fn trim(redis: &Redis, keys: &Keys, tag: Tag, lowest: Position) -> Result<bool, JournalError> {
    let args = vec![Value::from(lowest.epoch.to_string()), Value::from(lowest.entry.to_string())];
    let reply = call(redis, keys, tag, "bus_trim_2", args).await?;
    Ok(status(reply.into_array().into_iter().next())? == "OK")
}

/// What the node that serves a tag's slot knows of it, whether or not it may serve it.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// The node itself.
    pub node_id: String,
    /// The journal's id; nothing where the tag has no fence there.
    pub journal: Option<String>,
    /// The epoch; 0 where the tag has no fence there.
    pub epoch: i64,
    /// The highest entry that the journal ever held.
    pub last: EntryId,
    /// Entries that it holds now.
    pub entries: i64,
    /// The nodes that may serve the tag.
    pub node_ids: Vec<String>,
}

/// Stamps a tag that has no fence, and says what its fence says.
pub(crate) async fn stamp(redis: &Redis, keys: &Keys, tag: Tag, journal: &str) -> Result<Stamp, JournalError> {
    read_stamp(call(redis, keys, tag, "bus_stamp_2", vec![Value::from(journal)]).await?)
}

/// What the fence of a tag says.
pub(crate) async fn fence(redis: &Redis, keys: &Keys, tag: Tag) -> Result<Stamp, JournalError> {
    read_stamp(call(redis, keys, tag, "bus_fence_2", Vec::new()).await?)
}

/// Allows one more node to serve the tag. False where the node that serves it now may not.
pub(crate) async fn allow(redis: &Redis, keys: &Keys, tag: Tag, node_id: &str) -> Result<bool, JournalError> {
    let reply = call(redis, keys, tag, "bus_allow_2", vec![Value::from(node_id)]).await?;
    Ok(status(reply.into_array().into_iter().next())? == "OK")
}

/// Forbids the node that serves the tag now, unless another epoch has begun.
pub(crate) async fn close(redis: &Redis, keys: &Keys, tag: Tag, epoch: i64) -> Result<(), JournalError> {
    call(redis, keys, tag, "bus_close_2", vec![Value::from(epoch.to_string())]).await?;
    Ok(())
}

/// Allows the node that was seen, and no other. With `drained`, drops what the journal holds. False where the tag has moved on.
pub(crate) async fn release(
    redis: &Redis,
    keys: &Keys,
    tag: Tag,
    (node_id, journal, epoch): (&str, &str, i64),
    drained: bool,
) -> Result<bool, JournalError> {
    let args = [node_id, journal, &epoch.to_string(), if drained { "1" } else { "0" }].map(Value::from).to_vec();
    let reply = call(redis, keys, tag, "bus_release_2", args).await?;
    Ok(status(reply.into_array().into_iter().next())? == "OK")
}

fn read_stamp(reply: Value) -> Result<Stamp, JournalError> {
    let (node_id, journal, epoch, last, entries, node_ids): (String, String, i64, String, i64, Vec<String>) =
        reply.convert()?;
    let journal = Some(journal).filter(|journal| !journal.is_empty());
    Ok(Stamp { node_id, journal, epoch, last: last.parse().map_err(anyhow::Error::new)?, entries, node_ids })
}

async fn call(
    redis: &Redis,
    keys: &Keys,
    tag: Tag,
    function: &'static str,
    args: Vec<Value>,
) -> Result<Value, CallError> {
    redis.lane(u64::from(tag.number())).call(function, vec![keys.fence(tag), keys.journal(tag)], args).await
}

fn status(value: Option<Value>) -> anyhow::Result<String> {
    value.and_then(|value| value.into_string()).context("the reply has no status")
}

fn number(value: Option<Value>) -> anyhow::Result<i64> {
    value.and_then(|value| value.as_i64()).context("the reply has no number")
}

fn one(tag: Tag, epoch: i64, value: Value) -> anyhow::Result<Entry> {
    let mut parts = value.into_array().into_iter();
    let id: EntryId = status(parts.next())?.parse()?;
    let mut flat = parts.next().context("the entry has no fields")?.into_array().into_iter();
    let mut fields = HashMap::new();
    while let Some(name) = flat.next() {
        let Some(value) = flat.next() else { bail!("the entry has a field without a value") };
        let name = name.into_string().context("the entry has a field without a name")?;
        fields.insert(name, value.into_bytes().unwrap_or_else(Bytes::new));
    }
    Ok(Entry { tag, position: Position { epoch, entry: id }, fields })
}
