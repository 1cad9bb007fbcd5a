//! A place in a list that is sorted by time: after it the next page begins.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Where one item, or one order, stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When it was made, in microseconds since 1970.
    pub at_us: i64,
    /// Its name.
    pub id: String,
}

/// One page.
#[derive(Debug)]
pub struct Listed<T> {
    /// What is on it.
    pub found: Vec<T>,
    /// After which place the next one begins; none where this was the last.
    pub next: Option<Cursor>,
}

impl Cursor {
    /// The place of what was made then.
    #[must_use]
    pub fn new(at: OffsetDateTime, id: &str) -> Self {
        Self { at_us: i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or_default(), id: id.to_owned() }
    }

    /// When it was made; nothing where no list can have such a place. It comes back from clients, and is only as true as whoever sends
    /// it.
    #[must_use]
    pub fn at(&self) -> Option<OffsetDateTime> {
        let micros = u64::try_from(self.at_us).ok()?;
        let sound = !self.id.contains('\0');
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok().filter(|_| sound)
    }
}

impl<T> Listed<T> {
    /// Of one more than the page holds, which tells whether there is another page.
    #[must_use]
    pub fn cut(mut found: Vec<T>, size: usize, place: impl Fn(&T) -> Cursor) -> Self {
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| more).map(place);
        Self { found, next }
    }
}
