//! What the processes of these tests say. It is kept, because some of it must be said; with `BOOSTER_LOG` it is shown too.

use std::io::{self, Write};
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// From the first call on everything that a process says is kept.
pub fn keep() {
    let kept = fmt::layer().with_ansi(false).with_writer(|| Kept).with_filter(LevelFilter::INFO);
    let filter = EnvFilter::try_from_env("BOOSTER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    let shown = fmt::layer().with_writer(io::stderr).with_filter(filter);
    // Another test was first: it is kept already.
    let _ = tracing_subscriber::registry().with(kept).with(shown).try_init();
}

/// Whether a line with all of these words has been kept.
pub fn has_said(words: &[&str]) -> bool {
    let kept = KEPT.lock().unwrap();
    let text = String::from_utf8_lossy(&kept);
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
