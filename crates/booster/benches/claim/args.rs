//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Benchmark of the claim road; started by scripts/bench claim, which starts the servers
#[derive(Debug, Parser)]
pub struct Args {
    /// Shorter rounds, and fewer: to see whether it runs, not to quote it
    #[arg(long)]
    quick: bool,

    /// The folder in which deploy/local started the servers; their addresses are in the environment
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub servers: PathBuf,

    /// Serve empty calls; how this program starts itself
    #[arg(long, hide = true)]
    pub empty: bool,

    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Rounds that count; one before them does not.
    pub rounds: usize,
    /// One case with 256 calls in flight.
    pub window: Duration,
    /// One case with fewer calls in flight.
    pub side_window: Duration,
    /// Claims of one turn of `redis-benchmark`: a journal holds 80,000 that came one by one.
    pub one_a_call: u64,
    /// One case at half load.
    pub half_load: Duration,
    /// Rounds of the consumer.
    pub consumer_rounds: usize,
    /// Rows of one turn of the consumer, and of plain inserts.
    pub rows: u64,
    /// Claims of the burst.
    pub burst: u64,
    /// Claims and all that comes after them.
    pub minute: Duration,
}

impl Args {
    pub fn size(&self) -> Size {
        if self.quick {
            Size {
                rounds: 2,
                window: Duration::from_millis(700),
                side_window: Duration::from_millis(300),
                one_a_call: 15_000,
                half_load: Duration::from_secs(2),
                consumer_rounds: 2,
                rows: 20_000,
                burst: 20_000,
                minute: Duration::from_secs(10),
            }
        } else {
            Size {
                rounds: 7,
                window: Duration::from_millis(1_500),
                side_window: Duration::from_millis(700),
                one_a_call: 40_000,
                half_load: Duration::from_secs(5),
                consumer_rounds: 5,
                rows: 50_000,
                burst: 100_000,
                minute: Duration::from_secs(60),
            }
        }
    }
}
