//! `scripts/bench saga`: what a whole order costs, as a multiple of a bare transaction of two rows.
//!
//! Everything is measured in one run, in turns, on the same servers: orders with coupon, points and payment, from the first placing until
//! the last one is PAID; orders with a payment alone; and `pgbench` with a transaction that updates one row and inserts another. The sandbox
//! provider, every service (`booster all`), Redis, Kafka, PostgreSQL and the client share the machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for stdout, the progress for stderr")]

mod args;
mod caller;
mod stage;
mod table;
mod two_rows;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use trial::bench::Rounds;

use args::Args;
use caller::Kind;
use stage::Stage;
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

/// What is measured in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Orders(Kind),
    TwoRows,
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let (begun, size) = (Instant::now(), args.size());
    let say = |what: &str| eprintln!("{:4} s  {what}", begun.elapsed().as_secs());
    say("starting the provider and Booster");
    let stage = Stage::begin(&args.servers).await?;
    let cases = [Case::Orders(Kind::Whole), Case::TwoRows, Case::Orders(Kind::Plain)];
    let mut table = Table::default();
    for round in 0..=size.rounds {
        for case in Rounds::order(&cases, round) {
            say(&format!("round {round} of {}: {case:?}", size.rounds));
            match case {
                Case::TwoRows => table.rounds.note(table::TWO_ROWS, stage.two_rows(size.transactions).await?),
                Case::Orders(kind) => {
                    let (placed, paid) = stage.orders(*kind, size.orders, round).await?;
                    table.rounds.note(kind.placed(), placed);
                    table.rounds.note(kind.paid(), paid);
                }
            }
        }
        if round == 0 {
            table = Table::default();
        }
    }
    say("the audit");
    stage.end().await?;
    print!("{table}");
    let path = trial::bench::write("saga", &table.figures())?;
    println!("\n{}", path.canonicalize().unwrap_or(path).display());
    say("done");
    Ok(())
}
