//! `trial`: the load generator of Booster, and the judge of what it saw.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what this program prints is for the person who started it"
)]

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use trial::{orders, rush};

/// The load was run and judged, and an invariant did not hold.
const VIOLATED: u8 = 1;
/// Nothing can be said: a server was not there, or too little was killed. clap ends with the same code on flags that it cannot read.
const NOT_RUN: u8 = 2;

/// Load generator of Booster: plays the crowd, then judges what was told to whom.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Everybody wants a coupon of the same deal at once. Ends with 0 (exact), 1 (violated), 2 (nothing can be said)
    Rush(Box<rush::Args>),
    /// Many users order at once, and each order is followed to its end. Ends with 0 (exact), 1 (violated), 2 (nothing can be said)
    Orders(Box<orders::Args>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let judged = tokio::select! {
        judged = run(&command) => judged,
        // What a run has started goes with it: processes are killed and throwaway servers are stopped when dropped.
        interrupted = interruption() => Err(interrupted),
    };
    judged.unwrap_or_else(|why| {
        eprintln!("trial: {why:#}");
        NOT_RUN.into()
    })
}

/// Prints the report, and says what it comes to.
async fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Rush(args) => {
            let report = rush::run(args).await?;
            print!("{report}");
            Ok(code(report.verdict.is_exact(), report.is_beside()))
        }
        Command::Orders(args) => {
            let report = orders::run(args).await?;
            print!("{report}");
            Ok(code(report.verdict.is_exact(), report.is_beside()))
        }
    }
}

fn code(is_exact: bool, is_beside: bool) -> ExitCode {
    match (is_exact, is_beside) {
        (false, _) => VIOLATED.into(),
        (true, true) => NOT_RUN.into(),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// Waits for SIGINT or SIGTERM. Where signals cannot be listened for, their default action ends this program.
async fn interruption() -> anyhow::Error {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            eprintln!("trial: taking away what was started");
            anyhow!("interrupted")
        }
        (Err(_), _) | (_, Err(_)) => std::future::pending().await,
    }
}
