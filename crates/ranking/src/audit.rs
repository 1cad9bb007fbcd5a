//! The audit: each board is what the sales that count add up to (I13); and nothing is parked.

mod judge;

use std::collections::HashMap;
use std::time::Duration;

use bus::arrival;
use futures::future::try_join_all;
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;
use tokio::time::Instant;

use crate::board::{ALL_TIME_MOST, Board, Entry, Score};
use crate::postgres::{all_time as rows, day, sums};
use crate::push;
use crate::redis::{Boards, Kept};

/// How long what is on its way may take to arrive, or a board to be made anew that Redis has lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks.
const AGAIN: Duration = Duration::from_secs(1);
/// Scores that are read from PostgreSQL at once.
const PAGE: i64 = 1_024;
/// An age that nothing has: reading does not ask anybody to ask PostgreSQL.
const NEVER: Duration = Duration::from_secs(1_000_000_000);

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Sales looked at, those included that no longer count.
    pub sales: i64,
    /// Boards looked at.
    pub boards: usize,
    /// Scores looked at, on all of them.
    pub scores: usize,
    /// What is wrong and where, one sentence each.
    pub violations: Vec<String>,
}

/// Looks at every sum, and at every board that is kept. The services may run meanwhile.
///
/// # Errors
/// A store cannot be reached: nothing can be said.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let redis = Redis::connect(servers, 1, crate::LIBRARIES).await?;
    let auditor = Auditor { pool, boards: Boards::new(redis.clone(), servers), until: Instant::now() + PATIENCE };
    let mut report = Report { sales: sums::sales(&auditor.pool).await?, ..Report::default() };
    auditor.look_at_sums(&mut report).await?;
    auditor.look_at_boards(&mut report).await?;
    report.violations.extend(auditor.top().await?);
    report.violations.extend(auditor.behind().await?);
    for (consumer, count) in arrival::parked(&auditor.pool).await? {
        report
            .violations
            .push(format!("{count} events of the consumer {consumer} are parked, `booster dlq list` shows them (I10)"));
    }
    redis.close().await;
    Ok(report)
}

/// How many of each item were sold by orders that count: to be held against what order says of them.
///
/// # Errors
/// PostgreSQL is away.
pub async fn all_time(pool: &Pool) -> Result<HashMap<String, i64>, kit::postgres::Failure> {
    rows::all(pool).await
}

struct Auditor {
    pool: Pool,
    boards: Boards,
    /// What is not as it should be until then is a violation.
    until: Instant,
}

impl Auditor {
    /// Days add up to what sales count, and all time to its days: each changes in one transaction with the other.
    async fn look_at_sums(&self, report: &mut Report) -> anyhow::Result<()> {
        report.violations.extend(sums::days(&self.pool).await?.into_iter().map(|found| {
            let sums::DayDifference { day, item_id, score, sold } = found;
            format!("{item_id} has {score} on {day}, and the sales that count say {sold} (I13)")
        }));
        report.violations.extend(sums::all_time(&self.pool).await?.into_iter().map(|found| {
            let sums::ItemDifference { item_id, score, days } = found;
            format!("{item_id} has {score} of all time, and its days say {days} (I13)")
        }));
        Ok(())
    }

    async fn look_at_boards(&self, report: &mut Report) -> anyhow::Result<()> {
        let now = kit::clock::now();
        let boards: Vec<Board> =
            push::standing(&self.pool).await?.into_iter().filter(|board| board.is_kept(now)).collect();
        report.boards = boards.len();
        for (board, (scores, found)) in
            boards.iter().zip(try_join_all(boards.iter().map(|board| self.look(board))).await?)
        {
            report.scores += scores;
            report.violations.extend(found.into_iter().map(|what| format!("{board}: {what} (I13)")));
        }
        Ok(())
    }

    /// What is on its way for a moment is not a violation: it is looked at again before it is called one.
    async fn look(&self, board: &Board) -> anyhow::Result<(usize, Vec<String>)> {
        let (mut kept, mut scores) = self.read(board).await?;
        // Redis has had all this time to come to the versions that were seen first.
        let expected: HashMap<String, i64> =
            scores.iter().map(|score| (score.item_id.to_string(), score.version)).collect();
        loop {
            let found = judge::board(&kept, &scores, &expected);
            let again = Instant::now() + AGAIN;
            if found.is_empty() || again > self.until {
                return Ok((scores.len(), found));
            }
            tokio::time::sleep_until(again).await;
            (kept, scores) = self.read(board).await?;
        }
    }

    /// Redis first: PostgreSQL, which is read after that, is never behind it.
    async fn read(&self, board: &Board) -> anyhow::Result<(Kept, Vec<Score>)> {
        let kept = self.boards.kept(board).await?;
        let mut scores: Vec<Score> = Vec::new();
        loop {
            let after = scores.last().map(|last| last.item_id.to_string()).unwrap_or_default();
            let page = day::page(&self.pool, board, &after, PAGE).await?;
            if page.is_empty() {
                return Ok((kept, scores));
            }
            scores.extend(page);
        }
    }

    /// What Redis says of all time, where it says anything.
    async fn top(&self) -> anyhow::Result<Option<String>> {
        loop {
            let Some(kept) = self.boards.find_top(NEVER, NEVER).await? else { return Ok(None) };
            let (said, true_top) =
                (words(&kept.top.entries), words(&rows::top(&self.pool, ALL_TIME_MOST).await?.entries));
            if said == true_top {
                return Ok(None);
            }
            if Instant::now() + AGAIN > self.until {
                return Ok(Some(format!("the top of all time is {true_top}, and Redis says {said} (I13)")));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Scores that have been on their way to Redis for too long. Others may be on their way by then.
    async fn behind(&self) -> anyhow::Result<Option<String>> {
        let due = day::due(&self.pool, None).await?;
        loop {
            let behind = day::behind(&self.pool, &due).await?;
            if behind == 0 {
                return Ok(None);
            }
            if Instant::now() + AGAIN > self.until {
                return Ok(Some(format!("{behind} scores or more have not been brought to their boards (I13)")));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn words(entries: &[Entry]) -> String {
    let words: Vec<String> = entries.iter().map(|entry| format!("{} {}", entry.item_id, entry.score)).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
