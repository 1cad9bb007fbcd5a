//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Benchmark of the outbox; started by scripts/bench outbox, which starts the servers
#[derive(Debug, Parser)]
pub struct Args {
    /// Fewer old rows, and fewer and shorter rounds: to see whether it runs, not to quote it
    #[arg(long)]
    quick: bool,

    /// The folder in which deploy/local started the servers; their addresses are in the environment
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub servers: PathBuf,

    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Rounds that count; one before them does not.
    pub rounds: usize,
    /// Rows that were sent long ago, in the outbox that has such.
    pub old: u64,
    /// Rows that wait when the relay is started.
    pub rows: u64,
    /// One turn of `pgbench`.
    pub inserts: Duration,
    /// One turn of writers that write as fast as they can.
    pub writers: Duration,
    /// One turn at half of that.
    pub half_load: Duration,
}

impl Args {
    pub fn size(&self) -> Size {
        if self.quick {
            Size {
                rounds: 2,
                old: 1_000_000,
                rows: 30_000,
                inserts: Duration::from_secs(2),
                writers: Duration::from_secs(2),
                half_load: Duration::from_secs(2),
            }
        } else {
            Size {
                rounds: 5,
                old: 10_000_000,
                rows: 100_000,
                inserts: Duration::from_secs(4),
                writers: Duration::from_secs(3),
                half_load: Duration::from_secs(6),
            }
        }
    }
}
