//! `scripts/bench point`: how many operations a second the ledger takes on one account that everybody wants, and on ten thousand, as
//! ratios that hold on any machine.
//!
//! Everything is measured in one run, in turns. Ours is the verb that gRPC calls, in this process, with its relay beside it: requests
//! that are remembered, entries, orders, and events that reach Kafka. What it is divided by was measured in the same round: updates of a
//! single row by `pgbench`; and the three ways in which others keep a balance, each with an entry and nothing else.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for stdout, the progress for stderr")]

mod args;
mod place;
mod ours;
mod field;
mod pgbench;
mod turns;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use trial::bench::{Watched, server_pid};

use args::Args;
use place::Place;
use table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let say = |what: &str| eprintln!("{:4} s  {what}", begun.elapsed().as_secs());
    say("preparing");
    let place = Place::new().await?;
    let watched = Watched::default()
        .process("client and service", std::process::id())
        .process("kafka", server_pid(&args.servers.join("kafka"))?)
        .family("postgres", server_pid(&args.servers.join("postgres"))?);
    let measured = turns::measure(&place, &watched, &args.size(), say).await?;
    place.end().await?;

    let table = Table { measured };
    print!("{table}");
    let path = trial::bench::write("point", &table.figures())?;
    println!("\n{}", path.canonicalize().unwrap_or(path).display());
    say("done");
    Ok(())
}
