//! What a person sees while something is on: a bar on a terminal, a line now and then elsewhere. All of it goes to stderr; stdout is
//! for the report.
#![expect(clippy::print_stderr, reason = "lines for the person who started the run")]

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Who says it: lines, and below them the bars of what is on. A cheap handle.
#[derive(Clone)]
pub(super) struct Voice(MultiProgress);

/// One stretch of the run, of which the length is known.
pub(super) struct Progress {
    /// What is done: `orders placed`.
    what: &'static str,
    whole: usize,
    done: AtomicUsize,
    /// Only on a terminal.
    bar: Option<ProgressBar>,
    /// When the last plain line was written.
    said: Mutex<Instant>,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// One line, while nothing else is shown.
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

impl Voice {
    pub(super) fn new() -> Self {
        Self(MultiProgress::new())
    }

    /// One line, above the bars.
    pub(super) fn say(&self, line: &str) {
        // A terminal that is gone hears nothing.
        let _ = if std::io::stderr().is_terminal() {
            self.0.println(line)
        } else {
            say(line);
            Ok(())
        };
    }

    /// A stretch begins.
    pub(super) fn begin(&self, what: &'static str, whole: usize) -> Progress {
        let bar = || self.0.add(ProgressBar::new(whole as u64)).with_style(style(what));
        let bar = std::io::stderr().is_terminal().then(bar);
        Progress { what, whole, done: AtomicUsize::new(0), bar, said: Mutex::new(Instant::now()) }
    }
}

impl Progress {
    /// One more.
    pub(super) fn step(&self) {
        self.reach(self.done.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// So many, all in all.
    pub(super) fn reach(&self, done: usize) {
        self.done.store(done, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => bar.set_position(done as u64),
            None if done == self.whole || self.is_time_to_speak() => {
                say(&format!("{done} of {} {}", self.whole, self.what))
            }
            None => {}
        }
    }

    fn is_time_to_speak(&self) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = said.elapsed() >= LINE_EVERY;
        if is_time {
            *said = Instant::now();
        }
        is_time
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(what: &str) -> ProgressStyle {
    ProgressStyle::with_template(&format!("{{wide_bar}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
