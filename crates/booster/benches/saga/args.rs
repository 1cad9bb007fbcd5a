//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Benchmark of the order saga; started by scripts/bench saga, which starts the servers
#[derive(Debug, Parser)]
pub struct Args {
    /// Fewer orders, and fewer rounds: to see whether it runs, not to quote it
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
    /// Orders of one turn.
    pub orders: u64,
    /// One turn of `pgbench`, in whole seconds.
    pub transactions: Duration,
}

impl Args {
    pub fn size(&self) -> Size {
        if self.quick {
            Size { rounds: 2, orders: 1_000, transactions: Duration::from_secs(2) }
        } else {
            Size { rounds: 5, orders: 6_000, transactions: Duration::from_secs(6) }
        }
    }
}
