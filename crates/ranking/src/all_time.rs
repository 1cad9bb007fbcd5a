//! What was sold most of all time: from the memory of this process; behind it Redis; behind that PostgreSQL, which alone knows.
//!
//! What is known is told at once, and asked for again early, long before it is too old to be told. However many ask, a process asks
//! PostgreSQL once at a time, and of several processes one does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::Pool;
use kit::redis::{Heard, Listener};
use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::board::{ALL_TIME_MOST, NAME, Refusal, Top, told};
use crate::postgres::all_time;
use crate::redis::Boards;

/// For how long whoever was told to ask PostgreSQL is waited for, before another one is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after it could not be asked for.
const AGAIN: Duration = Duration::from_millis(250);
/// How often it is asked again to hear of changes: the slot may have moved to another node.
const LISTEN_EVERY: Duration = Duration::from_secs(10);
/// How long a node may take to say that it will tell.
const LISTEN_MOST: Duration = Duration::from_secs(1);
/// By which part spans differ by chance, so that processes do not all ask at once.
const JITTER: f64 = 0.2;

/// How old what is known may be.
#[derive(Debug, Clone, Copy)]
pub struct Spans {
    /// Up to this age it is not asked for again: an event says when it has changed, and may be lost.
    pub fresh: Duration,
    /// Up to this age it is told while it cannot be asked for again; after that nothing is.
    pub stale: Duration,
}

impl Default for Spans {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(5), stale: Duration::from_secs(300) }
    }
}

/// What is known, and until when.
#[derive(Debug, Clone)]
struct Known {
    top: Arc<Top>,
    fresh_until: Instant,
    stale_until: Instant,
}

/// The top of all time. A cheap handle.
#[derive(Clone)]
pub struct AllTime(Arc<Inner>);

struct Inner {
    pool: Pool,
    boards: Boards,
    spans: Spans,
    memory: Cache<&'static str, Known>,
    /// Somebody was told what is not fresh any more.
    wanted: Notify,
}

/// Memory forgets what must not be told any more.
struct Stale;

impl Expiry<&'static str, Known> for Stale {
    fn expire_after_create(&self, _: &&'static str, known: &Known, now: Instant) -> Option<Duration> {
        Some(known.stale_until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &&'static str,
        known: &Known,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.stale_until.saturating_duration_since(now))
    }
}

impl AllTime {
    /// Starts to ask again where what is known is old, and to hear of changes.
    #[must_use]
    pub fn start(process: &Process, pool: &Pool, boards: &Boards, listener: &Listener, spans: Spans) -> Self {
        let memory = Cache::builder().max_capacity(1).expire_after(Stale).build();
        let inner = Inner { pool: pool.clone(), boards: boards.clone(), spans, memory, wanted: Notify::new() };
        let all_time = Self(Arc::new(inner));
        let (kept, listener) = (all_time.clone(), listener.clone());
        process.spawn(Stage::Work, "all time", move |told| async move {
            kept.keep(&listener, &told).await;
            Ok(())
        });
        all_time
    }

    /// What is known. Where nothing is, it is asked for, once for all who wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: PostgreSQL is away, and what was known is too old to be told.
    pub async fn top(&self) -> Result<Arc<Top>, Error<Refusal>> {
        if let Some(known) = self.0.memory.get(NAME).await {
            if known.fresh_until <= Instant::now() {
                self.0.wanted.notify_one();
            }
            answered("memory");
            return Ok(known.top);
        }
        let known = self.0.memory.try_get_with(NAME, self.ask()).await.map_err(|error| told(&error))?;
        Ok(known.top)
    }

    /// Asks PostgreSQL because something may have changed, and lets all processes know where it has.
    ///
    /// # Errors
    /// PostgreSQL is away, or Redis is: others learn of it once what they know is not fresh any more.
    pub async fn renew(&self) -> Result<(), Error<Refusal>> {
        let known = self.ask_postgres().await?;
        self.remember(known.clone()).await;
        self.0.boards.put_top(&known.top, self.kept()).await?;
        Ok(())
    }

    /// The same, unless Redis has something that is not older than this, or somebody else is just asking.
    ///
    /// # Errors
    /// PostgreSQL is away, or Redis is.
    pub async fn renew_old(&self, old: Duration) -> Result<(), Error<Refusal>> {
        let kept = self.0.boards.find_top(old, PATIENCE).await?;
        if kept.is_none_or(|kept| kept.is_due) { self.renew().await } else { Ok(()) }
    }

    /// Until told to stop.
    async fn keep(&self, listener: &Listener, told: &CancellationToken) {
        let mut listen = tokio::time::interval(LISTEN_EVERY);
        listen.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_due = tokio::select! {
                () = told.cancelled() => return,
                () = self.0.wanted.notified() => !self.knows(|known| known.fresh_until > Instant::now()).await,
                heard = listener.next() => match heard {
                    Heard::Message(as_of_us) => {
                        let as_of_us: i128 = as_of_us.parse().unwrap_or(i128::MAX);
                        !self.knows(|known| known.top.as_of.unix_timestamp_nanos() / 1_000 >= as_of_us).await
                    }
                    Heard::Missed => true,
                },
                _ = listen.tick() => {
                    // Where the node does not answer, what is known is asked for again when it is old.
                    let _ = tokio::time::timeout(LISTEN_MOST, listener.listen(self.0.boards.changes())).await;
                    false
                }
            };
            if !is_due {
                continue;
            }
            match self.ask().await {
                Ok(known) => self.remember(known).await,
                Err(error) => {
                    tracing::debug!(cause = error.chain(), "the top of all time cannot be asked for now");
                    told.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
                }
            }
        }
    }

    /// Whether this is so of what is known.
    async fn knows(&self, is_so: impl FnOnce(&Known) -> bool) -> bool {
        self.0.memory.get(NAME).await.is_some_and(|known| is_so(&known))
    }

    /// Redis, where it knows and nobody has to ask PostgreSQL; else PostgreSQL; else what Redis knows, however old.
    async fn ask(&self) -> Result<Known, Error<Refusal>> {
        let kept = match self.0.boards.find_top(self.0.spans.fresh, PATIENCE).await {
            Ok(kept) => kept.filter(|kept| kept.age < self.0.spans.stale),
            // Redis is only in between.
            Err(_) => None,
        };
        let is_due = kept.as_ref().is_none_or(|kept| kept.is_due);
        let kept = kept.map(|kept| self.known(kept.top, kept.age));
        if let Some(kept) = kept.clone().filter(|_| !is_due) {
            answered("redis");
            return Ok(kept);
        }
        match self.ask_postgres().await {
            Ok(known) => {
                // Whoever finds nothing there asks PostgreSQL himself.
                let _ = self.0.boards.put_top(&known.top, self.kept()).await;
                Ok(known)
            }
            Err(error) => {
                metrics::counter!("booster_ranking_top_failures_total").increment(1);
                kept.inspect(|_| answered("redis")).ok_or(error)
            }
        }
    }

    async fn ask_postgres(&self) -> Result<Known, Error<Refusal>> {
        let top = all_time::top(&self.0.pool, ALL_TIME_MOST).await?;
        answered("postgres");
        Ok(self.known(top, Duration::ZERO))
    }

    /// Memory takes what is newer than what it has, and what is the same but fresher.
    async fn remember(&self, new: Known) {
        let newer = async |old: Option<moka::Entry<&'static str, Known>>| match old {
            Some(old) if old.value().top.as_of > new.top.as_of => Op::Nop,
            Some(_) | None => Op::Put(new.clone()),
        };
        self.0.memory.entry(NAME).and_compute_with(newer).await;
    }

    /// What was told at this age.
    fn known(&self, top: Top, age: Duration) -> Known {
        let Spans { fresh, stale } = self.0.spans;
        let (now, top) = (Instant::now(), Arc::new(top));
        let fresh = fresh.mul_f64(1.0 - JITTER * rand::random::<f64>());
        Known {
            top,
            // What is old already was not worth a question: it is looked at again after a moment.
            fresh_until: now + fresh.saturating_sub(age).max(AGAIN.min(fresh)),
            stale_until: now + stale.saturating_sub(age),
        }
    }

    /// For how long Redis keeps it: never longer than it may be told.
    fn kept(&self) -> Duration {
        self.0.spans.stale.mul_f64(1.0 - JITTER * rand::random::<f64>())
    }
}

fn answered(tier: &'static str) {
    metrics::counter!("booster_ranking_top_answers_total", "tier" => tier).increment(1);
}
