//! The journal: what every attempt was told, one JSON object a line, in the order of the answers.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Serialize;

use super::answer::Outcome;

/// One attempt, and what it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// Number of the order that is wanted: 0, 1, 2, ...
    pub(super) number: usize,
    pub(super) call: Call,
    /// The number of the attempt within the call: 1, 2, 3, ...
    pub(super) attempt: u32,
    /// When it was sent, in milliseconds from the first placing on, and how long its answer took.
    pub(super) sent_ms: u64,
    pub(super) ms: u64,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub(super) enum Call {
    /// The order, for the first time.
    Place,
    /// The same once more, as with a double click.
    Again,
    /// Something else, with the request id of the order.
    Forge,
    Cancel,
    Advance {
        /// 1: PREPARING, 2: SHIPPING, 3: DELIVERED.
        to: usize,
    },
}

/// A file that is written to, and the same entries in memory, for the judge.
pub(super) struct Journal(Mutex<Pages>);

struct Pages {
    file: BufWriter<File>,
    entries: Vec<Entry>,
    /// The first failure of a write; it is told in the end, because the users cannot be stopped for it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_line_says_what_was_asked_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.jsonl");
        let journal = Journal::create(&path).unwrap();
        let outcome = Outcome::Ok { order_id: "o7".to_owned(), state: "PENDING".to_owned() };
        journal.write(Entry { number: 7, call: Call::Place, attempt: 2, sent_ms: 10, ms: 1, outcome: outcome.clone() });
        let call = Call::Advance { to: 1 };
        journal.write(Entry { number: 7, call, attempt: 1, sent_ms: 20, ms: 1, outcome });
        assert_eq!(journal.finish().unwrap().len(), 2);

        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |call: Value, attempt, sent_ms| {
            let mut line = json!({"number": 7, "attempt": attempt, "sent_ms": sent_ms, "ms": 1,
                "outcome": "ok", "order_id": "o7", "state": "PENDING"});
            line["call"] = call;
            line
        };
        assert_eq!(lines, [told(json!({"call": "place"}), 2, 10), told(json!({"call": "advance", "to": 1}), 1, 20)]);
    }
}
