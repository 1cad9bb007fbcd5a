//! The same function in Redis, called once for each claim, by `redis-benchmark`: what a service does that has no batches.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bus::journal::Tag;
use hdrhistogram::Histogram;
use promotion::deal::DealId;
use promotion::redis::{JOURNAL_LIMIT, LIBRARY};
use tokio::process::Command;
use trial::bench::{Calls, Sample};

use crate::bare::{Bare, not_after_ms};
use crate::client::RUSH;
use crate::stage::{Stage, told};

/// Different users: so many that hardly anybody is drawn twice.
const USERS: &str = "1000000000";
/// How many of all claims may have met a user who had claimed before.
const TWICE_MOST: u64 = 100;

/// As many claims, from as many connections as a rush has calls in flight.
pub async fn sample(stage: &Stage, bare: &Bare, deal_id: &DealId, number: u64) -> anyhow::Result<Sample> {
    let tag = Tag::of(deal_id.as_str());
    let (host, port) = node_of(bare, tag).await?;
    let mut command = Command::new("redis-benchmark");
    command.args(["-h", &host, "-p", &port, "-c", &RUSH.callers().to_string(), "-P", "1", "--csv", "-r", USERS]);
    command.args(["-n", &number.to_string()]).args(call(bare, tag, deal_id));
    let before = stage.watched.look()?;
    let said = told(&mut command).await?;
    let spent = stage.watched.look()?.since(&before);
    let issued = bare.issued(deal_id).await?;
    ensure!(issued <= number && issued + TWICE_MOST >= number, "{issued} coupons of {number} claims: {said}");
    let took = Duration::from_secs_f64(number_of(issued) / rate(&said)?);
    Ok(Sample { calls: Calls { number: issued, took, waits: Histogram::new(1)? }, spent })
}

/// The call of one claim, as the service makes it for a batch. What the answer was worth is seen by what was issued.
fn call(bare: &Bare, tag: Tag, deal_id: &DealId) -> Vec<String> {
    // A library and its functions carry the same version.
    let version = LIBRARY.name.rsplit('_').next().unwrap_or_default();
    let mut call = vec!["FCALL".to_owned(), format!("promotion_claim_{version}"), "5".to_owned(), bare.keys.fence(tag)];
    call.extend(["deal", "held", "seats"].map(|room| bare.keys.key(tag, format_args!("{room}:{deal_id}"))));
    call.push(bare.keys.journal(tag));
    let no_trace = String::new();
    call.extend([not_after_ms().to_string(), JOURNAL_LIMIT.to_string(), deal_id.to_string(), no_trace]);
    call.push("__rand_int__".to_owned());
    call
}

/// The node that serves a tag: any node knows.
async fn node_of(bare: &Bare, tag: Tag) -> anyhow::Result<(String, String)> {
    let servers = bare.ground.servers();
    let any = servers.redis_nodes.first().context("no Redis node")?;
    let (host, port) = any.rsplit_once(':').context("a Redis node is host:port")?;
    let said =
        told(Command::new("redis-cli").args(["-h", host, "-p", port, "hget", &bare.keys.fence(tag), "epoch"])).await?;
    let there = said.trim().strip_prefix("MOVED ").and_then(|moved| moved.split(' ').nth(1));
    let (host, port) = there.and_then(|there| there.rsplit_once(':')).unwrap_or((host, port));
    Ok((host.to_owned(), port.to_owned()))
}

/// Requests a second: the second column of the second line.
fn rate(said: &str) -> anyhow::Result<f64> {
    let rate = said.lines().last().and_then(|line| line.rsplit("\",\"").nth(6));
    let rate = rate.and_then(|rate| rate.trim_matches('"').parse().ok());
    rate.with_context(|| format!("redis-benchmark said: {said}"))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn number_of(number: u64) -> f64 {
    number as f64
}
