//! Orders: many users place orders at once, and what happens to each of them afterwards is waited for. Every answer is written down, and
//! in the end what was told is held against what PostgreSQL, Redis, the services and the provider's own log have.

mod args;
mod share;
mod kill;
mod follow;
mod crowd;
mod settle;
mod report;
mod verdict;
mod shown;
mod stored;
mod deeds;
mod kept;
mod props;
mod told;
mod journal;
mod scene;
mod call;
mod answer;
mod doors;
mod progress;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::channel::mpsc;
use hdrhistogram::Histogram;
use kit::config::Secret;
use tokio::sync::watch;

pub use args::Args;
pub use kill::{Killed, Victim};
pub use report::Report;
pub use share::Share;
pub use verdict::{Rule, Verdict, Violation};

use answer::Outcome;
use crowd::Crowd;
use doors::{Addresses, Doors};
use journal::{Entry, Journal};
use progress::Voice;
use settle::Settled;
use shown::Faces;
use stored::Stored;

use crate::process::Program;
use crate::rush::backoff::Patience;
use crate::rush::kill::audit::Audit;
use crate::rush::kill::stage::find;

/// Where a run takes place.
struct Setting {
    addresses: Addresses,
    postgres_url: Secret,
    provider_log: Option<PathBuf>,
    booster: PathBuf,
    /// What `booster audit` is told; nothing where it is what this program was told.
    env: Vec<(String, String)>,
}

/// How far a run has come, for whoever hurts it meanwhile.
struct Over {
    phase: watch::Receiver<Phase>,
    voice: Voice,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Placing,
    Placed,
    Ended,
}

/// What came of the placing, and of the wait.
struct Ordered {
    entries: Vec<Entry>,
    took: Duration,
    waits: Histogram<u64>,
    /// From the first placing until every order had ended.
    ended: Duration,
}

/// Puts items, deals and points there, places the orders, waits until each has ended, and judges. Without `--addr` it brings the servers
/// and the processes, too, and kills some of these.
///
/// # Errors
///
/// Nothing can be said, in one sentence: a server is not there, an item cannot be made, the journal cannot be written.
pub async fn run(args: &Args) -> anyhow::Result<Report> {
    args.check()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    if args.is_alone() {
        return kill::run(args, seed).await;
    }
    let setting = Setting {
        addresses: Addresses::all(&args.addrs),
        postgres_url: args.postgres_url.clone().context("--postgres-url is missing")?,
        provider_log: args.provider_log.clone(),
        booster: find(args.booster.as_deref())?,
        env: Vec::new(),
    };
    Ok(orders(args, seed, &setting, async |_| Ok(())).await?.0)
}

/// The steps stand apart, so that something that hurts the processes can be put beside the placing and the wait: `beside` is a future of
/// its own, and the judge does not need to know of it. It has to end once the orders have; when it fails, so does the run.
async fn orders<T>(
    args: &Args,
    seed: u64,
    setting: &Setting,
    beside: impl AsyncFnOnce(Over) -> anyhow::Result<T>,
) -> anyhow::Result<(Report, T)> {
    let run = format!("o{:08x}", rand::random::<u32>());
    let scene = scene::imagine(args, &run, seed);
    let patience = Patience::new(args.timeout, args.retries, args.patience);
    let stored = Stored::at(&setting.postgres_url, &args.time_zone);
    stored.reach().await?;
    let doors = Doors::open(&setting.addresses, args).await?;
    let path = args.journal_path(&run);
    let journal = Journal::create(&path).with_context(|| format!("cannot write the journal {}", path.display()))?;
    let voice = Voice::new();
    voice.say(&format!("{} orders of {} users, run {run}, seed {seed}", args.orders, scene.users.len()));
    voice.say(&format!("every answer is written to {}", path.display()));
    let coupons = props::put(&scene, &doors, patience, &voice).await?;

    let faces = Faces { scene: &scene, coupons: &coupons, doors: &doors, patience };
    let (phase, heard) = watch::channel(Phase::Placing);
    let over = Over { phase: heard, voice: voice.clone() };
    let load = async {
        let ordered = order(args, seed, &stored, &faces, &journal, &phase, &voice).await;
        // Where nobody hurts anything, nobody hears it.
        let _ = phase.send(Phase::Ended);
        ordered
    };
    let (ordered, came) = tokio::try_join!(load, beside(over))?;
    voice.say("reading what is kept and what is shown");
    let mut settled = settle::judged(&stored, &faces, setting, args, &ordered.entries).await?;
    voice.say("booster audit");
    let audit = audit(setting).await?;
    let found = audit.violations.iter().map(|found| {
        let found = found.to_string();
        Violation::new(Rule::Audit, "booster", found.trim_start_matches("booster "))
    });
    settled.verdict.violations.extend(found);
    Ok((report(args, ordered, settled, audit.summaries), came))
}

/// Places all of them, follows those whose users are not done with them, and waits until every one has ended.
async fn order(
    args: &Args,
    seed: u64,
    stored: &Stored,
    faces: &Faces<'_>,
    journal: &Journal,
    phase: &watch::Sender<Phase>,
    voice: &Voice,
) -> anyhow::Result<Ordered> {
    let Faces { scene, coupons, doors, patience } = *faces;
    let begun = Instant::now();
    let crowd = Crowd { scene, coupons, doors, patience, journal, begun };
    let (follow, followed) = mpsc::unbounded();
    let placing = async {
        let progress = voice.begin("orders placed", scene.wishes.len());
        let placed = crowd.place(seed, args.spread(), &progress, follow).await;
        drop(progress);
        let _ = phase.send(Phase::Placed);
        let deadline = Instant::now() + args.settle;
        settle::wait(stored, faces, voice, deadline).await?;
        anyhow::Ok((placed, deadline))
    };
    let (placed, ()) = futures::join!(placing, crowd.follow(followed, args.settle));
    let (placed, deadline) = placed?;
    // What was cancelled since takes its time as well.
    settle::wait(stored, faces, voice, deadline).await?;
    Ok(Ordered { entries: journal.finish()?, took: placed.took, waits: placed.waits, ended: begun.elapsed() })
}

/// `booster audit`, against everything that is kept there.
async fn audit(setting: &Setting) -> anyhow::Result<Audit> {
    let mut program = Program::new("orders-audit", &setting.booster).args(["audit"]);
    if let Some(log) = &setting.provider_log {
        program = program.args(["--provider-log".as_ref(), log.as_os_str()]);
    }
    if !setting.env.is_empty() {
        program = program.alone().envs(setting.env.iter().cloned());
    }
    Ok(Audit::read(&program.run().await?))
}

fn report(args: &Args, ordered: Ordered, settled: Settled, audit: Vec<String>) -> Report {
    let mut report = Report::count(&settled.kept.orders, settled.verdict);
    report.wanted = args.orders as usize;
    report.took = ordered.took;
    report.waits = ordered.waits;
    report.ended = ordered.ended;
    report.unknown = ordered.entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Unknown { .. })).count();
    report.retried = ordered.entries.iter().filter(|entry| entry.attempt > 1).count();
    report.arrived = settled.arrived;
    report.deeds = settled.deeds;
    report.audit = audit;
    report
}

impl Over {
    /// Waits until every order has ended.
    async fn ended(&mut self) {
        // A sender that is gone tells nothing more.
        let _ = self.phase.wait_for(|phase| *phase == Phase::Ended).await;
    }

    /// Tells the person who started the run.
    fn say(&self, line: &str) {
        self.voice.say(line);
    }

    /// Whether every order has been placed.
    fn is_placed(&self) -> bool {
        *self.phase.borrow() != Phase::Placing
    }
}
