//! Journals: what a Redis function did, written in the same atomic step. A service has a fixed number of them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::event::{Event, Unreadable};

/// How many journals each service has. It never changes: an aggregate would move to another journal.
pub const TAGS: u16 = 64;

/// One of a service's journals, and everything that lives beside it in the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u16);

impl Tag {
    /// Where `id` belongs: the first eight bytes of its SHA-256, modulo [`TAGS`].
    #[must_use]
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        let tag = u64::from_be_bytes(first) % u64::from(TAGS);
        Self(u16::try_from(tag).unwrap_or_default())
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TAGS).map(Self)
    }

    /// `number`, if there is such a tag.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number < TAGS).then_some(Self(number))
    }

    /// 0 to 63.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// As PostgreSQL has kept it, if there is such a tag.
    #[must_use]
    pub fn from_sql(number: i16) -> Option<Self> {
        Self::new(u16::try_from(number).ok()?)
    }

    /// As PostgreSQL keeps it.
    #[must_use]
    pub fn to_sql(self) -> i16 {
        i16::try_from(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names the keys of one service in one namespace. Everything of a tag has the tag in braces: it stays in one slot.
#[derive(Debug, Clone)]
pub struct Keys {
    before: String,
}

impl Keys {
    /// `prefixed` is the service's name within the namespace: `promotion`, or `t1.promotion`.
    #[must_use]
    pub fn new(servers: &kit::config::Servers, service: &str) -> Self {
        let before = servers.prefixed("");
        Self { before: format!("{before}{{{service}:") }
    }

    /// `<namespace>.{<service>:<tag>}:<name>`.
    #[must_use]
    pub fn key(&self, tag: Tag, name: impl fmt::Display) -> String {
        format!("{}{tag}}}:{name}", self.before)
    }

    /// The fence of a tag.
    #[must_use]
    pub fn fence(&self, tag: Tag) -> String {
        self.key(tag, "fence")
    }

    /// The journal of a tag.
    #[must_use]
    pub fn journal(&self, tag: Tag) -> String {
        self.key(tag, "journal")
    }
}

/// The id of an entry of a stream: milliseconds and a number within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct EntryId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Counts the entries of one millisecond.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let parse = |number: &str| number.parse().ok();
        let parts = text.split_once('-').and_then(|(ms, seq)| Some(Self { ms: parse(ms)?, seq: parse(seq)? }));
        parts.ok_or_else(|| Unreadable::new(format!("{text} is not the id of a journal entry")))
    }
}

/// A place in a journal. Entry ids alone repeat when a journal is made anew; the epoch does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The tag's epoch.
    pub epoch: i64,
    /// The entry.
    pub entry: EntryId,
}

/// One entry of a journal: what one call of a Redis function did.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The journal it stands in.
    pub tag: Tag,
    /// Where it stands.
    pub position: Position,
    /// What the function wrote.
    pub fields: HashMap<String, Bytes>,
}

impl Entry {
    /// The `index`-th event of this entry has this `ce_id`.
    #[must_use]
    pub fn event_id(&self, service: &str, index: usize) -> String {
        format!("{service}/{}/{}/{}/{index}", self.tag, self.position.epoch, self.position.entry)
    }

    /// Where an event came from, if it came from a journal of `service`, and says so of itself throughout.
    #[must_use]
    pub fn origin(service: &str, event: &Event) -> Option<(Tag, Position)> {
        let mut parts = event.id.split('/');
        let is_ours = parts.next()? == service && event.source == service;
        let tag = Tag::new(parts.next()?.parse().ok()?)?;
        let epoch = parts.next()?.parse().ok()?;
        let entry = parts.next()?.parse().ok()?;
        (is_ours && event.partition_key == tag.to_string()).then_some((tag, Position { epoch, entry }))
    }

    /// A field as text.
    ///
    /// # Errors
    /// The entry has no such field, or it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<&str, Unreadable> {
        let bytes = self.fields.get(name).ok_or_else(|| Unreadable::new(format!("the entry has no {name}")))?;
        std::str::from_utf8(bytes).map_err(|_| Unreadable::new(format!("{name} is not UTF-8")))
    }

    /// A field as a whole number.
    ///
    /// # Errors
    /// The entry has no such field, or it is not a number.
    pub fn number(&self, name: &str) -> Result<i64, Unreadable> {
        self.text(name)?.parse().map_err(|_| Unreadable::new(format!("{name} is not a number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_for_ever() {
        assert_eq!(Tag::of("lunch").number(), 49);
        assert_eq!(Tag::of("a").number(), 10);
    }

    #[test]
    fn an_event_id_leads_back_to_its_entry() {
        let position = Position { epoch: 3, entry: EntryId { ms: 17, seq: 4 } };
        let entry = Entry { tag: Tag(9), position, fields: HashMap::new() };
        let id = entry.event_id("promotion", 12);
        assert_eq!(id, "promotion/9/3/17-4/12");
        let event = Event {
            id,
            kind: String::new(),
            source: "promotion".to_owned(),
            subject: String::new(),
            time: time::OffsetDateTime::UNIX_EPOCH,
            sequence: 1,
            partition_key: "9".to_owned(),
            traceparent: None,
            payload: Bytes::new(),
        };
        assert_eq!(Entry::origin("promotion", &event), Some((Tag(9), position)));
        assert_eq!(Entry::origin("waiting", &event), None);
        for foreign in [
            Event { source: "waiting".to_owned(), ..event.clone() },
            Event { partition_key: "8".to_owned(), ..event.clone() },
            Event { id: "0199c0de-0000-7000-8000-000000000000".to_owned(), ..event.clone() },
        ] {
            assert_eq!(Entry::origin("promotion", &foreign), None);
        }
    }
}
