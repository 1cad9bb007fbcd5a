//! The log: one line for each thing that the provider has done. Whatever has come while the last write was under way is written and
//! synced at once.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::{Notify, watch};

use super::words::Line;

/// How long a log is waited for that another process holds: one that was killed holds it for a moment more.
const HELD: Duration = Duration::from_secs(5);
const HELD_LOOK: Duration = Duration::from_millis(20);

/// The log's end: whoever has one may add lines. A cheap handle.
#[derive(Clone)]
pub(super) struct Pen(Arc<Page>);

struct Page {
    lines: Mutex<Lines>,
    bell: Notify,
    /// How many lines are on the disk.
    synced: watch::Sender<u64>,
}

/// What is not written yet.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// How many lines there are, those that are written among them.
    number: u64,
}

/// The log, to be written.
pub(super) struct Log {
    file: File,
    pen: Pen,
}

impl Log {
    /// Opens the log, and reads what stands there. A last line that was not written to its end is cut off: it was never answered.
    pub(super) async fn open(path: PathBuf) -> anyhow::Result<(Self, Vec<Line>)> {
        let shown = path.display().to_string();
        let mut file = hold(&path).await.with_context(|| format!("the log {shown}"))?;
        let read = tokio::task::spawn_blocking(move || read(&mut file).map(|lines| (file, lines))).await?;
        let (file, lines) = read.with_context(|| format!("the log {shown}"))?;
        let number = u64::try_from(lines.len()).unwrap_or_default();
        let lines_of_page = Mutex::new(Lines { text: Vec::new(), number });
        let page = Page { lines: lines_of_page, bell: Notify::new(), synced: watch::Sender::new(number) };
        Ok((Self { file, pen: Pen(Arc::new(page)) }, lines))
    }

    /// Adds to it.
    pub(super) fn pen(&self) -> Pen {
        self.pen.clone()
    }

    /// Writes what is added, for ever.
    pub(super) async fn write(self) -> anyhow::Result<()> {
        let Self { mut file, pen } = self;
        loop {
            let (text, number) = pen.take();
            if text.is_empty() {
                pen.0.bell.notified().await;
                continue;
            }
            let written = tokio::task::spawn_blocking(move || {
                file.write_all(&text)?;
                file.sync_data()?;
                Ok::<_, std::io::Error>(file)
            });
            file = written.await?.context("the log cannot be written")?;
            pen.0.synced.send_replace(number);
        }
    }
}

impl Pen {
    /// Adds a line; its number, from 1 on.
    pub(super) fn add(&self, line: &Line) -> anyhow::Result<u64> {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_writer(&mut lines.text, line)?;
        lines.text.push(b'\n');
        lines.number += 1;
        self.0.bell.notify_one();
        Ok(lines.number)
    }

    /// Waits until the line of this number is on the disk.
    pub(super) async fn synced(&self, number: u64) {
        // Whoever sends is here, too: it is never closed.
        let _ = self.0.synced.subscribe().wait_for(|synced| *synced >= number).await;
    }

    fn take(&self) -> (Vec<u8>, u64) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut lines.text), lines.number)
    }
}

/// Opens the file for this process alone.
async fn hold(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let deadline = tokio::time::Instant::now() + HELD;
    while file.try_lock().is_err() {
        if tokio::time::Instant::now() > deadline {
            bail!("is held by another process");
        }
        tokio::time::sleep(HELD_LOOK).await;
    }
    Ok(file)
}

/// Reads every line, and cuts off a torn one at the end.
fn read(file: &mut File) -> anyhow::Result<Vec<Line>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut reader, mut lines, mut text, mut whole) = (BufReader::new(&*file), Vec::new(), Vec::new(), 0);
    loop {
        text.clear();
        let length = reader.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(lines);
        }
        match serde_json::from_slice(&text) {
            Ok(line) if text.ends_with(b"\n") => lines.push(line),
            // Whatever it is, nothing follows it: it was being written when the process died.
            Ok(_) | Err(_) if reader.fill_buf()?.is_empty() => {
                drop(reader);
                file.set_len(whole)?;
                file.sync_data()?;
                return Ok(lines);
            }
            Ok(_) | Err(_) => bail!("line {} is damaged", lines.len() + 1),
        }
        whole += u64::try_from(length)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::State;
    use super::*;

    fn line(key: &str) -> Line {
        let (key, currency) = (key.to_owned(), "KRW".to_owned());
        Line { at_ms: 1, deed: State::Charged, key, amount: 5, currency, reference: Some("ch-1".to_owned()) }
    }

    async fn write(log: Log, key: &str) {
        let pen = log.pen();
        let number = pen.add(&line(key)).unwrap();
        tokio::select! {
            ended = log.write() => ended.unwrap(),
            () = pen.synced(number) => {}
        }
    }

    #[tokio::test]
    async fn what_was_synced_is_read_again_and_a_torn_tail_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (log, lines) = Log::open(path.clone()).await.unwrap();
        assert!(lines.is_empty());
        write(log, "a").await;
        let whole = std::fs::read(&path).unwrap();
        for torn in [&whole[..whole.len() - 1], &whole[..5], b"{}\n", b"\n"] {
            std::fs::write(&path, [&whole, torn].concat()).unwrap();
            let (log, lines) = Log::open(path.clone()).await.unwrap();
            assert_eq!(lines, [line("a")], "{torn:?}");
            write(log, "b").await;
            let (_, lines) = Log::open(path.clone()).await.unwrap();
            assert_eq!(lines, [line("a"), line("b")], "{torn:?}");
        }
        std::fs::write(&path, [b"x\n", &whole[..]].concat()).unwrap();
        assert!(Log::open(path).await.is_err(), "it is damaged, and not at its end");
    }
}
