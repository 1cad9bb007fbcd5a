//! Updates of a single row, one a transaction, by PostgreSQL's own `pgbench`: what everything is divided by.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::process::Command;
use trial::bench::Calls;

use crate::place::Place;
use crate::turns::Over;

/// Clients, and threads that drive them.
const CLIENTS: &str = "8";
const THREADS: &str = "2";

/// So long. `pgbench` itself is counted among the others on the machine.
pub async fn calls(place: &Place, over: Over, time: Duration) -> anyhow::Result<Calls> {
    let id = match over {
        Over::One => "0",
        Over::Many => "random(1, 10000)",
    };
    let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
    let statement = format!("\\set n {id}\nUPDATE bench.plain SET balance = balance + 1 WHERE id = :n;\n");
    std::fs::write(script.path(), statement)?;
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "-c", CLIENTS, "-j", THREADS]);
    command.args(["-T", &time.as_secs().to_string(), "-f"]).arg(script.path());
    // The password of a server that is there for tests alone.
    command.arg(place.url().expose());
    let Output { status, stdout, stderr } = command.output().await.context("pgbench cannot be started")?;
    let said = String::from_utf8_lossy(&stdout);
    ensure!(status.success(), "pgbench: {said}{}", String::from_utf8_lossy(&stderr));
    let rate = rate(&said).with_context(|| format!("pgbench tells no rate: {said}"))?;
    let number = number(&said).with_context(|| format!("pgbench tells no number: {said}"))?;
    Ok(Calls { number, took: Duration::from_secs_f64(number as f64 / rate), waits: Histogram::new(1)? })
}

/// `tps = 1234.5 (without initial connection time)`
fn rate(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

/// `number of transactions actually processed: 1234`
fn number(said: &str) -> Option<u64> {
    let name = "number of transactions actually processed: ";
    said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
