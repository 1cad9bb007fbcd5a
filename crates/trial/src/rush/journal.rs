//! The journal: what every attempt was told, one JSON object a line, in the order of the answers.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Serialize, Serializer};

use super::Outcome;

/// One attempt, and what it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Who claimed.
    pub user: String,
    /// 1, or 2 where he called a second time.
    pub call: u32,
    /// The number of the attempt within the call: 1, 2, 3, ...
    pub attempt: u32,
    /// When it was sent, counted from the beginning of the rush.
    #[serde(rename = "sent_ms", serialize_with = "milliseconds")]
    pub sent: Duration,
    /// How long the answer took, or how long it was waited for.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// What it was told.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Entry {
    /// When the answer was there, counted from the beginning of the rush.
    #[must_use]
    pub fn answered(&self) -> Duration {
        self.sent + self.took
    }
}

/// A file that is written to, and the same entries in memory, for the judge.
pub(super) struct Journal(Mutex<Pages>);

struct Pages {
    file: BufWriter<File>,
    entries: Vec<Entry>,
    /// The first failure of a write; it is told in the end, because the crowd cannot be stopped for it.
    failure: Option<io::Error>,
}

impl Journal {
    /// Begins a new file at `path`, in the place of one that is there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = BufWriter::new(File::create(path)?);
        Ok(Self(Mutex::new(Pages { file, entries: Vec::new(), failure: None })))
    }

    pub(super) fn write(&self, entry: Entry) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = pages.append(&entry) {
            pages.failure.get_or_insert(error);
        }
        pages.entries.push(entry);
    }

    /// Writes out what is left, and hands over the entries.
    pub(super) fn finish(&self) -> anyhow::Result<Vec<Entry>> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = pages.file.flush();
        let written = pages.failure.take().map_or(flushed, Err);
        written.context("the journal could not be written")?;
        Ok(std::mem::take(&mut pages.entries))
    }
}

impl Pages {
    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, entry)?;
        self.file.write_all(b"\n")
    }
}

fn milliseconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((time.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_line_says_who_was_told_what() {
        let directory = std::env::temp_dir().join(format!("trial-{:016x}", rand::random::<u64>()));
        let path = directory.join("a/b.jsonl");
        let journal = Journal::create(&path).unwrap();
        let entry = |outcome| Entry {
            user: "u1".to_owned(),
            call: 1,
            attempt: 2,
            sent: Duration::from_millis(10),
            took: Duration::from_micros(1500),
            outcome,
        };
        journal.write(entry(Outcome::Ok { rank: 3, coupon_id: "d-3".to_owned(), already_held: true }));
        journal.write(entry(Outcome::Refused { reason: "SOLD_OUT".to_owned() }));
        assert_eq!(journal.finish().unwrap().len(), 2);

        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_dir_all(directory).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines,
            [
                json!({"user": "u1", "call": 1, "attempt": 2, "sent_ms": 10.0, "ms": 1.5,
                    "outcome": "ok", "rank": 3, "coupon_id": "d-3", "already_held": true}),
                json!({"user": "u1", "call": 1, "attempt": 2, "sent_ms": 10.0, "ms": 1.5,
                    "outcome": "refused", "reason": "SOLD_OUT"}),
            ]
        );
    }
}
