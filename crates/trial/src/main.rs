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
use trial::rush;

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Rush(args) = Command::parse();
    let rushed = tokio::select! {
        rushed = rush::run(&args) => rushed,
        // What the rush has started goes with it: processes are killed and throwaway servers are stopped when dropped.
        interrupted = interruption() => Err(interrupted),
    };
    match rushed {
        Ok(report) => {
            print!("{report}");
            code(&report)
        }
        Err(why) => {
            eprintln!("trial: {why:#}");
            NOT_RUN.into()
        }
    }
}

fn code(report: &rush::Report) -> ExitCode {
    if !report.verdict.is_exact() {
        VIOLATED.into()
    } else if report.is_beside() {
        NOT_RUN.into()
    } else {
        ExitCode::SUCCESS
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
