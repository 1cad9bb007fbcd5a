//! A bare transaction of two rows, by PostgreSQL's own `pgbench`: what a saga is divided by.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::process::Command;
use trial::bench::{Calls, Sample, Watched};

/// Clients, and threads that drive them.
const CLIENTS: &str = "8";
const THREADS: &str = "2";
/// One row is changed, another one is added.
const SCRIPT: &str = "\\set n random(1, 10000)
BEGIN;
UPDATE bench_row SET number = number + 1 WHERE id = :n;
INSERT INTO bench_log (id, number) VALUES (:n, 1);
COMMIT;
";
/// The tables, made once.
pub const TABLES: &str = "CREATE TABLE bench_row (id integer PRIMARY KEY, number bigint NOT NULL);
INSERT INTO bench_row SELECT n, 0 FROM generate_series(1, 10000) AS n;
CREATE TABLE bench_log (id integer NOT NULL, number bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());";

/// So long, in the database of this URL. `pgbench` itself is counted among the others on the machine.
pub async fn sample(url: &str, watched: &Watched, time: Duration) -> anyhow::Result<Sample> {
    let script = tempfile::Builder::new().suffix(".sql").tempfile()?;
    std::fs::write(script.path(), SCRIPT)?;
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "-c", CLIENTS, "-j", THREADS]);
    // The password is that of a server that is wiped at the end.
    command.args(["-T", &time.as_secs().to_string(), "-f"]).arg(script.path()).arg(url);
    let before = watched.look()?;
    let Output { status, stdout, stderr } = command.output().await.context("pgbench cannot be started")?;
    let spent = watched.look()?.since(&before);
    let said = String::from_utf8_lossy(&stdout);
    ensure!(status.success(), "pgbench: {said}{}", String::from_utf8_lossy(&stderr));
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
    let rate = rate.with_context(|| format!("pgbench tells no rate: {said}"))?;
    let number = "number of transactions actually processed: ";
    let number = said.lines().find_map(|line| line.strip_prefix(number)?.trim().parse::<u64>().ok());
    let number = number.with_context(|| format!("pgbench tells no number: {said}"))?;
    let took = Duration::from_secs_f64(whole(number) / rate);
    Ok(Sample { calls: Calls { number, took, waits: Histogram::new(1)? }, spent })
}

/// A count as a floating number.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn whole(number: u64) -> f64 {
    number as f64
}
