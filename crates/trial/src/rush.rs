//! A rush: everybody claims a coupon of the same deal at once. Every answer is written down, and in the end what was
//! told is held against what is kept.

mod args;
pub(crate) mod kill;
mod crowd;
mod arrival;
mod call;
mod deal;
mod settle;
mod report;
mod verdict;
mod told;
mod stored;
mod journal;
mod answer;
mod connection;
pub(crate) mod backoff;
mod progress;

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

pub use answer::Outcome;
pub use args::Args;
pub use journal::Entry;
pub use kill::{Kill, Killed};
pub use report::Report;
pub use told::{Told, told};
pub use verdict::{Evidence, Row, Verdict, Violation, judge};

use connection::Connections;
use crowd::Crowd;
use journal::Journal;
use progress::Progress;
use settle::Settled;

/// What came of the crowd: every answer, and how long it took.
struct Rushed {
    entries: Vec<Entry>,
    /// From the first claim to the last answer.
    took: Duration,
    /// What each caller waited, from his first attempt to his definite answer, in microseconds.
    waits: hdrhistogram::Histogram<u64>,
}

/// Closed when the rush is over.
type Over = oneshot::Receiver<()>;

/// Makes a deal, sends the crowd, waits until PostgreSQL has what was told, and judges. With `--kill` it brings the servers
/// and the processes, too.
///
/// # Errors
///
/// Nothing can be said, in one sentence: a server is not there, the deal cannot be made, the journal cannot be written.
pub async fn run(args: &Args) -> anyhow::Result<Report> {
    args.check()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    match args.kill {
        Some(what) => kill::run(args, what, seed).await,
        None => Ok(rush(args, seed, async |_, _| Ok(())).await?.0),
    }
}

/// The four steps stand apart, so that something that hurts the servers can be put beside the second one: `beside` is a
/// future of its own, and the judge does not need to know of it. It has to end once the rush is over; when it fails, so
/// does the rush.
async fn rush<T>(
    args: &Args,
    seed: u64,
    beside: impl AsyncFnOnce(Progress, Over) -> anyhow::Result<T>,
) -> anyhow::Result<(Report, T)> {
    let deal_id = args.deal.clone().unwrap_or_else(|| format!("rush-{:08x}", rand::random::<u32>()));
    let path = args.journal_path(&deal_id);
    let connections = Connections::open(args).await?;
    if let Some(url) = &args.postgres_url {
        stored::reach(url).await?;
    }
    let journal = Journal::create(&path).with_context(|| format!("cannot write the journal {}", path.display()))?;
    deal::create(&connections, args, &deal_id).await?;

    let progress = Progress::begin(args, &deal_id, seed, &path);
    let (is_on, over) = oneshot::channel();
    let crowd = async {
        let rushed = rush_in(args, &deal_id, seed, connections.clone(), journal, progress.clone()).await;
        drop(is_on);
        rushed
    };
    let (rushed, came) = tokio::try_join!(crowd, beside(progress.clone(), over))?;
    let settled = settle::settle(&connections, args, &deal_id, &rushed.entries).await;
    progress.end();
    let settled = settled?;

    let verdict = judge(&Evidence {
        deal_id: &deal_id,
        stock: args.stock,
        entries: &rushed.entries,
        listed: &settled.listed,
        stored: settled.stored.as_deref(),
    });
    Ok((report(args, rushed, &settled, verdict), came))
}

/// Sends the crowd through the door, and waits until the last of it has an answer or has given up.
async fn rush_in(
    args: &Args,
    deal_id: &str,
    seed: u64,
    connections: Connections,
    journal: Journal,
    progress: Progress,
) -> anyhow::Result<Rushed> {
    let crowd = Crowd::gather(args, deal_id, seed, connections, journal, progress);
    crowd.rush().await
}

fn report(args: &Args, rushed: Rushed, settled: &Settled, verdict: Verdict) -> Report {
    let mut report = Report::count(&rushed.entries, verdict);
    report.stock = args.stock;
    report.took = rushed.took;
    report.waits = rushed.waits;
    report.listed = settled.listed.len();
    report.stored = settled.stored.as_ref().map(Vec::len);
    report.settled = settled.took;
    report
}
