//! `trial`: the load generator of Booster, and the judge of what it saw.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what this program prints is for the person who started it"
)]

use std::process::ExitCode;

use clap::Parser;
use trial::rush;

/// The load was run and judged, and an invariant did not hold.
const VIOLATED: u8 = 1;
/// Nothing can be said: a server was not there. clap ends with the same code on flags that it cannot read.
const NOT_RUN: u8 = 2;

/// Load generator of Booster: plays the crowd, then judges what was told to whom.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Everybody wants a coupon of the same deal at once. Ends with 0 (exact), 1 (violated), 2 (could not run)
    Rush(Box<rush::Args>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Rush(args) = Command::parse();
    match rush::run(&args).await {
        Ok(report) => {
            print!("{report}");
            if report.verdict.is_exact() { ExitCode::SUCCESS } else { VIOLATED.into() }
        }
        Err(why) => {
            eprintln!("trial: {why:#}");
            NOT_RUN.into()
        }
    }
}
