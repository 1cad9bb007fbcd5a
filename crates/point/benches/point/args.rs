//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Benchmark of the ledger of points; started by scripts/bench point, which starts the servers
#[derive(Debug, Parser)]
pub struct Args {
    /// Fewer rounds: to see whether it runs, not to quote it
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
    /// One turn of a case.
    pub turn: Duration,
}

impl Args {
    pub fn size(&self) -> Size {
        let rounds = if self.quick { 1 } else { 5 };
        Size { rounds, turn: Duration::from_secs(2) }
    }
}
