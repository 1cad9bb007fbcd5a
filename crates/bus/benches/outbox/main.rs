//! `scripts/bench outbox`: how fast the outbox is emptied, and how long a row waits in it, as ratios that hold on any machine.
//!
//! Everything is measured in one run, in turns, and twice: in an outbox that holds nothing else, and in one with millions of rows
//! that were sent before. What a case is divided by was measured in the same round: plain inserts, one a transaction, by `pgbench`
//! on the same PostgreSQL; or the same case in the other outbox.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for stdout, the progress for stderr")]

mod args;
mod inserts;
mod place;
mod table;
mod turns;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use trial::bench::{Watched, server_pid};

use args::Args;
use place::Place;
use table::Table;
use turns::Stage;

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
    let size = args.size();
    say("preparing");
    let none = Place::new(0, say).await?;
    none.make_plain().await?;
    let old = Place::new(size.old, say).await?;
    let watched = Watched::default()
        .process("client and relay", std::process::id())
        .process("kafka", server_pid(&args.servers.join("kafka"))?)
        .family("postgres", server_pid(&args.servers.join("postgres"))?);
    let stage = Stage { none, old, watched };
    let measured = turns::measure(&stage, &size, say).await?;
    let Stage { none, old, .. } = stage;
    none.end().await;
    old.end().await;

    let table = Table { measured, old: size.old };
    print!("{table}");
    let path = trial::bench::write("outbox", &table.figures())?;
    println!("\n{}", path.canonicalize().unwrap_or(path).display());
    say("done");
    Ok(())
}
