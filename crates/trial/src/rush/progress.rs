//! What a person sees before the rush and while it is on: a bar on a terminal, a line now and then elsewhere. All of it
//! goes to stderr; stdout is for the report.
#![expect(clippy::print_stderr, reason = "lines for the person who started the rush")]

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Args, Outcome};

/// A cheap handle.
#[derive(Clone)]
pub(super) struct Progress(Arc<Inner>);

struct Inner {
    /// Only on a terminal.
    bar: Option<ProgressBar>,
    calls: AtomicU64,
    answered: AtomicU64,
    won: AtomicU64,
    /// When the last plain line was written.
    said: Mutex<Instant>,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// One line, while no rush is on.
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

impl Progress {
    pub(super) fn begin(args: &Args, deal_id: &str, seed: u64, journal: &Path) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0).with_style(style()));
        eprintln!("{} users, {} coupons, deal {deal_id}, seed {seed}", args.users, args.stock);
        eprintln!("every answer is written to {}", journal.display());
        Self(Arc::new(Inner {
            bar,
            calls: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            won: AtomicU64::new(0),
            said: Mutex::new(Instant::now()),
        }))
    }

    pub(super) fn expect_calls(&self, calls: usize) {
        self.0.calls.store(calls as u64, Ordering::Relaxed);
        if let Some(bar) = &self.0.bar {
            bar.set_length(calls as u64);
        }
    }

    /// One call has ended.
    pub(super) fn answered(&self, outcome: &Outcome) {
        let won = match outcome {
            Outcome::Ok { .. } => self.0.won.fetch_add(1, Ordering::Relaxed) + 1,
            Outcome::Refused { .. } | Outcome::Unknown { .. } => self.0.won.load(Ordering::Relaxed),
        };
        let answered = self.0.answered.fetch_add(1, Ordering::Relaxed) + 1;
        let calls = self.0.calls.load(Ordering::Relaxed);
        match &self.0.bar {
            Some(bar) => {
                bar.set_message(format!("{won} times yes"));
                bar.inc(1);
            }
            None if answered == calls || self.is_time_to_speak() => {
                eprintln!("{answered} of {calls} claims answered, {won} times yes");
            }
            None => {}
        }
    }

    /// One line, above the bar.
    pub(super) fn say(&self, line: &str) {
        match &self.0.bar {
            Some(bar) => bar.println(line),
            None => say(line),
        }
    }

    /// Everything is answered, and everything is kept.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }

    fn is_time_to_speak(&self) -> bool {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = said.elapsed() >= LINE_EVERY;
        if is_time {
            *said = Instant::now();
        }
        is_time
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len}, {per_sec}, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
