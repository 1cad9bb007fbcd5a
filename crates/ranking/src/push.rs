//! Pushing: scores that Redis may not know yet go to the boards of their day and their week, and it is noted that they are there.
//!
//! A sale is committed before Redis hears of it. Whoever dies between the two leaves rows whose `applied` is below their `version`:
//! any process finds them, and a score that is pushed twice changes nothing the second time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::Pool;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::all_time::AllTime;
use crate::board::{Board, ItemId, Refusal, Score, WEEK_KEPT_DAYS, today};
use crate::postgres::day::{self, Due};
use crate::rebuild::Rebuilds;
use crate::redis::{Answer, Boards, PUSHED_MOST, Pushed};

/// How often it is looked for scores without a reason: another process may have died.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked once the bell has rung, which it does a moment before a batch is committed; and the shortest pause between
/// two looks.
const LOOK_SOON: Duration = Duration::from_millis(50);
/// For how long.
const SOON: Duration = Duration::from_secs(1);
/// Boards that are pushed to at once.
const AT_ONCE: usize = 8;
/// How often it is looked whether Redis has every board.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// How often it is said that scores cannot be pushed.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// Rings when scores change. A cheap handle.
#[derive(Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Somebody should look, now and in a moment.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

struct Pusher {
    pool: Pool,
    boards: Boards,
    rebuilds: Rebuilds,
    all_time: AllTime,
    /// When it was last said that something could not be done.
    said: Option<Instant>,
}

/// Starts to push, and to keep boards whole.
pub fn spawn(process: &Process, pool: &Pool, boards: &Boards, rebuilds: &Rebuilds, all_time: &AllTime, bell: &Bell) {
    let pusher = || Pusher {
        pool: pool.clone(),
        boards: boards.clone(),
        rebuilds: rebuilds.clone(),
        all_time: all_time.clone(),
        said: None,
    };
    let (mut pushing, mut keeping, bell) = (pusher(), pusher(), bell.clone());
    process.spawn(Stage::Work, "pusher", |told| async move {
        pushing.run(&bell, &told).await;
        Ok(())
    });
    process.spawn(Stage::Work, "boards", |told| async move {
        while told.run_until_cancelled(keeping.keep()).await.is_some() {
            told.run_until_cancelled(tokio::time::sleep(KEEP_EVERY)).await;
        }
        Ok(())
    });
}

impl Pusher {
    async fn run(&mut self, bell: &Bell, told: &CancellationToken) {
        let mut soon_until = Instant::now();
        loop {
            let pause = if Instant::now() < soon_until { LOOK_SOON } else { LOOK };
            let look = async {
                if tokio::time::timeout(pause, bell.0.notified()).await.is_ok() {
                    soon_until = Instant::now() + SOON;
                    tokio::time::sleep(LOOK_SOON).await;
                }
                self.push_all().await
            };
            // Whatever it is cut off in is found again.
            match told.run_until_cancelled(look).await {
                None => return,
                Some(Ok(0)) => {}
                // What was rung for has been found; others ring again.
                Some(Ok(_)) => soon_until = Instant::now(),
                Some(Err(error)) => self.say(&error),
            }
        }
    }

    /// Everything that Redis may not know yet; answers how many scores there were.
    async fn push_all(&mut self) -> Result<usize, Error<Refusal>> {
        let (mut after, mut found, mut behind) = (None, 0, 0);
        // A board that could not be reached is not tried again before the next look.
        let mut failed = HashSet::new();
        loop {
            let due = day::due(&self.pool, after.as_ref()).await?;
            let Some(last) = due.last() else { break };
            after = Some((last.day, last.daily.item_id.clone()));
            found += due.len();
            self.push(&due, &mut failed).await;
            let is_there = |due: &Due| !boards_of(due).iter().any(|board| failed.contains(board));
            let applied: Vec<Due> = due.iter().filter(|due| is_there(due)).cloned().collect();
            behind += due.len() - applied.len();
            self.renew_top().await;
            day::applied(&self.pool, &applied).await?;
            metrics::counter!("booster_ranking_pushed_scores_total").increment(applied.len() as u64);
        }
        metrics::gauge!("booster_ranking_unapplied_scores").set(u32::try_from(behind).unwrap_or(u32::MAX));
        Ok(found)
    }

    /// Scores are noted as applied after it: whoever dies before leaves them to somebody who renews it.
    async fn renew_top(&mut self) {
        if let Err(error) = self.all_time.renew().await {
            self.say(&error);
        }
    }

    /// Adds to `failed` the boards that have not taken what is theirs.
    async fn push(&mut self, due: &[Due], failed: &mut HashSet<Board>) {
        let mut by_board: BTreeMap<Board, BTreeMap<ItemId, Score>> = BTreeMap::new();
        for one in due {
            // Two days of a week have the same score of it.
            for (board, score) in boards_of(one).into_iter().zip([&one.daily, &one.weekly]) {
                by_board.entry(board).or_default().insert(score.item_id.clone(), score.clone());
            }
        }
        by_board.retain(|board, _| !failed.contains(board));
        let pushes = by_board.into_iter().map(|(board, scores)| {
            let pusher = &*self;
            async move { (board, pusher.push_to(&board, scores.into_values().collect()).await) }
        });
        let pushed: Vec<_> = futures::stream::iter(pushes).buffer_unordered(AT_ONCE).collect().await;
        for (board, outcome) in pushed {
            if let Err(error) = outcome {
                failed.insert(board);
                self.say(&error);
            }
        }
    }

    async fn push_to(&self, board: &Board, scores: Vec<Score>) -> Result<(), Error<Refusal>> {
        let mut partly = false;
        for scores in scores.chunks(PUSHED_MOST) {
            match self.boards.push(board, scores).await? {
                Pushed::Whole => {}
                Pushed::Partly => partly = true,
                Pushed::Past => return Ok(()),
            }
        }
        if partly {
            // The first sale of a day; or Redis has lost what was there.
            self.rebuilds.make_missing(board).await?;
        }
        Ok(())
    }

    /// A board that Redis has lost is made anew before anybody asks for it; and so is what was sold most of all time, where whoever
    /// should have told that it has changed could not.
    async fn keep(&mut self) {
        if let Err(error) = self.keep_whole().await {
            self.say(&error);
        }
    }

    async fn keep_whole(&self) -> Result<(), Error<Refusal>> {
        let now = kit::clock::now();
        for board in standing(&self.pool).await? {
            if board.is_kept(now) && self.boards.top(&board, 1).await? == Answer::Missing {
                self.rebuilds.make_missing(&board).await?;
            }
        }
        self.all_time.renew_old(KEEP_EVERY).await
    }

    fn say(&mut self, error: &Error<Refusal>) {
        if self.said.is_none_or(|said| said.elapsed() > SAID_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(cause = error.chain(), "the boards cannot be brought up to date now");
        }
    }
}

/// That of its day and that of its week.
fn boards_of(due: &Due) -> [Board; 2] {
    [Board::of_day(due.day), Board::of_week(due.day)]
}

/// The boards that something was sold on, and that are kept, or were a moment ago.
///
/// # Errors
/// PostgreSQL is away.
pub async fn standing(pool: &Pool) -> Result<Vec<Board>, kit::postgres::Failure> {
    let today = today(&TimeZone::UTC, kit::clock::now());
    let from: Date = today.saturating_sub((WEEK_KEPT_DAYS + 7).days());
    let days = day::days(pool, from, today.saturating_add(1.day())).await?;
    let mut boards: Vec<Board> = days.into_iter().flat_map(|day| [Board::of_day(day), Board::of_week(day)]).collect();
    boards.sort();
    boards.dedup();
    Ok(boards)
}
