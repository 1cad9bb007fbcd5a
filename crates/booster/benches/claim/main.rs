//! `scripts/bench claim`: how fast the road of a claim is, as ratios that hold on any machine.
//!
//! Everything is measured in one run, in turns, by the same client: an empty call (the same method of a plain tonic server
//! that answers nothing, in a process of its own), accepted claims, claims after sold out, repeats by winners; the same
//! function called once a claim by `redis-benchmark`, and the batcher without gRPC before it; the consumer against plain
//! inserts. Then a minute of claims with all that comes after them, and a burst. What a case is divided by was measured in
//! the same round.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for stdout, the progress for stderr")]

mod args;
mod bare;
mod client;
mod consumer;
mod empty;
mod minute;
mod one_a_call;
mod stage;
mod table;
mod turns;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use args::Args;
use stage::Stage;
use table::Table;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.empty { empty::serve().await } else { run(&args).await };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let size = args.size();
    say(begun, "starting Booster");
    let stage = Stage::begin(&args.servers).await?;
    let bare = bare::Bare::begin().await?;
    let rounds = turns::measure(&stage, &bare, &size, |what| say(begun, what)).await?;
    say(begun, "waits at half load");
    let half = turns::half_load(&stage, &rounds, &size).await?;
    say(begun, "consumer and plain inserts");
    let consumer = consumer::measure(&stage, &size).await?;
    say(begun, "a burst");
    let burst = minute::burst(&stage, &size).await?;
    say(begun, "claims and all that comes after them");
    let minute = minute::measure(&stage, &size, |what| say(begun, what)).await?;
    bare.end().await;
    stage.end().await;

    let table = Table { rounds, half, consumer, burst, minute };
    print!("{table}");
    let path = trial::bench::write("claim", &table.figures())?;
    println!("\n{}", path.canonicalize().unwrap_or(path).display());
    say(begun, "done");
    Ok(())
}

/// One line of progress.
fn say(begun: Instant, what: &str) {
    eprintln!("{:4} s  {what}", begun.elapsed().as_secs());
}
