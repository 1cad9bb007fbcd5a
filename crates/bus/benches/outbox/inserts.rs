//! Plain inserts, one row a transaction, by PostgreSQL's own `pgbench`: what everything is divided by.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::process::Command;
use trial::bench::{Calls, Sample, Watched};

use crate::place::Place;

/// Clients, and threads that drive them.
const CLIENTS: &str = "8";
const THREADS: &str = "2";
/// One row of the outbox's shape.
const SCRIPT: &str = "\\set n random(0, 9999)
INSERT INTO promotion.plain (ce_id, kind, subject, sequence, partition_key, payload) VALUES (gen_random_uuid(),
  'booster.bench.v1.Told', 'subject-' || :n, :n, 'subject-' || :n, decode(repeat('ab', 100), 'hex'));
";

/// So long, into the plain table of this place. `pgbench` itself is counted among the others on the machine.
pub async fn sample(place: &Place, watched: &Watched, time: Duration) -> anyhow::Result<Sample> {
    let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
    std::fs::write(script.path(), SCRIPT)?;
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "-c", CLIENTS, "-j", THREADS]);
    command.args(["-T", &time.as_secs().to_string(), "-f"]).arg(script.path());
    // The password of a server that is wiped at the end.
    command.arg(place.url().expose());
    let before = watched.look()?;
    let Output { status, stdout, stderr } = command.output().await.context("pgbench cannot be started")?;
    let spent = watched.look()?.since(&before);
    let said = String::from_utf8_lossy(&stdout);
    ensure!(status.success(), "pgbench: {said}{}", String::from_utf8_lossy(&stderr));
    let rate = rate(&said).with_context(|| format!("pgbench tells no rate: {said}"))?;
    let number = number(&said).with_context(|| format!("pgbench tells no number: {said}"))?;
    let took = Duration::from_secs_f64(number as f64 / rate);
    Ok(Sample { calls: Calls { number, took, waits: Histogram::new(1)? }, spent })
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
