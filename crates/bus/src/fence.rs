//! The fence of each tag, as an operator sees and changes it: which Redis node may serve it.
//!
//! A slot is moved on purpose by allowing the target first. After a failover by hand, or where a node has lost its disk, the
//! tag stays frozen until an operator releases it. PostgreSQL is always told first: whoever dies in between leaves a tag that
//! is still frozen, and the same command finishes it.

use std::fmt;

use anyhow::{Context as _, bail, ensure};
use kit::postgres::Pool;
use kit::redis::Redis;

use crate::journal::{Keys, Position, Tag};
use crate::postgres::journal;
use crate::postgres::tag::{self, Known};
use crate::redis::{self, Stamp};

/// One tag.
#[derive(Debug)]
pub struct Fence {
    /// Which.
    pub tag: Tag,
    /// The node that its slot belongs to now; nothing where that node does not answer.
    pub node_id: Option<String>,
    /// Its epoch, as PostgreSQL knows it; 0 where it was never stamped.
    pub epoch: i64,
    /// Entries that its journal holds.
    pub entries: i64,
    /// Whether it is served.
    pub state: State,
}

/// Whether a tag is served, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is served.
    Open,
    /// It was never stamped: `booster migrate` has not run.
    Unstamped,
    /// The node is not one of those that may serve it, which are these.
    NotAllowed(Vec<String>),
    /// The node has no fence of it: it has lost its data, or never had any.
    Empty,
    /// The node holds a journal that PostgreSQL does not know.
    OtherJournal,
    /// The journal has lost entries that Kafka or PostgreSQL have seen.
    Behind,
    /// The node does not answer.
    Away(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Unstamped => f.write_str("FROZEN: never stamped, run `booster migrate`"),
            Self::NotAllowed(allowed) => write!(f, "FROZEN: this node may not serve it, {} may", allowed.join(" and ")),
            Self::Empty => f.write_str("FROZEN: this node has lost the journal"),
            Self::OtherJournal => f.write_str("OTHER JOURNAL: PostgreSQL does not know the one that this node has"),
            Self::Behind => f.write_str("BEHIND: the journal has lost entries that had left it"),
            Self::Away(why) => write!(f, "AWAY: {why}"),
        }
    }
}

/// What a release has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The node that may serve the tag now, and no other.
    pub node_id: String,
    /// The tag's epoch.
    pub epoch: i64,
    /// Whether the epoch was raised: deals of before stay frozen.
    pub raised: bool,
}

/// Every tag, in order.
///
/// # Errors
/// PostgreSQL cannot be reached. (A Redis node that is away is a state of its tags.)
pub async fn show(redis: &Redis, pool: &Pool, keys: &Keys) -> anyhow::Result<Vec<Fence>> {
    let known = tag::all(pool).await?;
    let seen = seen_elsewhere(pool).await?;
    let mut fences = Vec::new();
    for tag in Tag::all() {
        let known = known.get(&tag);
        let epoch = known.map_or(0, |known| known.epoch);
        fences.push(match redis::fence(redis, keys, tag).await {
            Ok(stamp) => {
                let state = known.map_or(State::Unstamped, |known| judge(known, &stamp, seen(tag)));
                Fence { tag, node_id: Some(stamp.node_id), epoch, entries: stamp.entries, state }
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::new(error));
                Fence { tag, node_id: None, epoch, entries: 0, state: State::Away(why) }
            }
        });
    }
    Ok(fences)
}

/// Allows a node to serve a tag, besides those that may already: before its slot is moved there.
///
/// # Errors
/// One sentence: no such node, never stamped, frozen, or a server that does not answer. A repeat finishes it.
pub async fn allow(redis: &Redis, pool: &Pool, keys: &Keys, tag: Tag, node_id: &str) -> anyhow::Result<()> {
    let nodes = redis.nodes().await?;
    ensure!(
        nodes.iter().any(|node| node.id == node_id),
        "the Redis Cluster has no node {node_id} (CLUSTER NODES lists them)"
    );
    ensure!(tag::allow(pool, tag, node_id).await?, "tag {tag} was never stamped: run `booster migrate` first");
    let allowed = redis::allow(redis, keys, tag, node_id).await.with_context(|| format!("the fence of tag {tag}"))?;
    ensure!(
        allowed,
        "tag {tag} is frozen: the node that has its slot may not serve it. `booster fence show` says why, and \
         `booster fence release {tag}` opens it"
    );
    Ok(())
}

/// Lets the node that has the tag's slot now serve it, and no other. Where its journal is not the one that PostgreSQL knows,
/// or has lost entries, the tag begins a new epoch, and its deals of before stay frozen.
///
/// # Errors
/// One sentence: never stamped, the tag is moving, or a server that does not answer. A repeat finishes it.
pub async fn release(redis: &Redis, pool: &Pool, keys: &Keys, tag: Tag) -> anyhow::Result<Released> {
    let known = tag::all(pool).await?.remove(&tag);
    let known = known.with_context(|| format!("tag {tag} was never stamped: run `booster migrate` instead"))?;
    // First what has left the journal, then the journal: a tag that is served goes on meanwhile, and what has left it since would
    // look like entries that it has lost.
    let seen = seen_elsewhere(pool).await?(tag);
    let stamp = redis::fence(redis, keys, tag).await.with_context(|| format!("the fence of tag {tag}"))?;
    let state = judge(&known, &stamp, seen);
    let raised = matches!(state, State::Empty | State::OtherJournal | State::Behind);
    let (journal, epoch) = if raised {
        (uuid::Uuid::now_v7().to_string(), known.epoch.max(stamp.epoch) + 1)
    } else {
        (known.journal.clone(), known.epoch)
    };
    let new = Known { node_ids: vec![stamp.node_id.clone()], journal: journal.clone(), epoch };
    if !tag::replace(pool, tag, &known, &new).await? {
        bail!("tag {tag} was released by somebody else at the same time: look again with `booster fence show`");
    }
    // What a journal has lost came after all that it still holds, and that has left it already.
    let drained = state == State::Behind;
    let done = redis::release(redis, keys, tag, (&stamp.node_id, &journal, epoch), drained).await;
    ensure!(
        done.with_context(|| format!("the fence of tag {tag}"))?,
        "tag {tag} has moved to another node meanwhile: release it again"
    );
    Ok(Released { node_id: stamp.node_id, epoch, raised })
}

/// What each journal must have held: it was acknowledged by Kafka, or has taken effect.
async fn seen_elsewhere(pool: &Pool) -> anyhow::Result<impl Fn(Tag) -> Position> {
    let (marks, progress) = (journal::marks(pool).await?, journal::progress(pool).await?);
    let of = move |tag: Tag| {
        marks.get(&tag).copied().unwrap_or_default().max(progress.get(&tag).copied().unwrap_or_default())
    };
    Ok(of)
}

fn judge(known: &Known, stamp: &Stamp, seen: Position) -> State {
    if stamp.journal.is_none() {
        State::Empty
    } else if stamp.journal.as_ref() != Some(&known.journal) || stamp.epoch != known.epoch {
        State::OtherJournal
    } else if seen.epoch == known.epoch && stamp.last < seen.entry {
        State::Behind
    } else if !stamp.node_ids.contains(&stamp.node_id) {
        State::NotAllowed(stamp.node_ids.clone())
    } else {
        State::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::EntryId;

    fn known() -> Known {
        Known { node_ids: vec!["a".to_owned()], journal: "j".to_owned(), epoch: 2 }
    }

    fn stamp() -> Stamp {
        let last = EntryId { ms: 9, seq: 0 };
        let journal = Some("j".to_owned());
        Stamp { node_id: "a".to_owned(), journal, epoch: 2, last, entries: 0, node_ids: vec!["a".to_owned()] }
    }

    #[test]
    fn a_tag_is_open_only_where_everything_is_as_postgres_knows_it() {
        let seen = Position { epoch: 2, entry: EntryId { ms: 9, seq: 0 } };
        assert_eq!(judge(&known(), &stamp(), seen), State::Open);
        let later = Position { entry: EntryId { ms: 9, seq: 1 }, ..seen };
        assert_eq!(judge(&known(), &stamp(), later), State::Behind);
        // What was seen of an older epoch was in another journal.
        assert_eq!(judge(&known(), &stamp(), Position { epoch: 1, ..later }), State::Open);
        let moved = Stamp { node_id: "b".to_owned(), ..stamp() };
        assert_eq!(judge(&known(), &moved, seen), State::NotAllowed(vec!["a".to_owned()]));
        let emptied = Stamp { journal: None, epoch: 0, ..stamp() };
        assert_eq!(judge(&known(), &emptied, seen), State::Empty);
        let other = Stamp { journal: Some("k".to_owned()), ..stamp() };
        assert_eq!(judge(&known(), &other, seen), State::OtherJournal);
        assert_eq!(judge(&known(), &Stamp { epoch: 1, ..stamp() }, seen), State::OtherJournal);
    }
}
