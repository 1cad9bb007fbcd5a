//! Making a board anew from what PostgreSQL knows. A board that was right stays the same, byte for byte; it can be read meanwhile.

use std::sync::Arc;
use std::time::Duration;

use kit::error::Error;
use kit::postgres::Pool;
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::board::{Board, Refusal, Score, told};
use crate::postgres::day;
use crate::redis::{Boards, Finished, NONE_OF_OURS, PUSHED_MOST, Pushed};

/// Scores that are read from PostgreSQL at once.
const PAGE: i64 = 1_024;
/// Boards that a process makes anew at once, at most.
const AT_ONCE: usize = 4;
/// When to come back where more are asked for.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is begun anew where some of the board was lost meanwhile.
const TRIES: usize = 3;
/// For how long it is remembered that a board was made, where whoever made it did not live to forget it.
const MADE: Duration = Duration::from_secs(1);
/// Boards that are being made, at most, until one of them may be made twice at once.
const REMEMBERED: u64 = 1_000;

/// Makes boards anew. A cheap handle.
#[derive(Clone)]
pub struct Rebuilds {
    pool: Pool,
    boards: Boards,
    places: Arc<Semaphore>,
    /// Boards that are missing: however many find out at once, one of them makes it.
    made: Cache<Board, ()>,
}

impl Rebuilds {
    /// Between these stores.
    #[must_use]
    pub fn new(pool: &Pool, boards: &Boards) -> Self {
        let made = Cache::builder().max_capacity(REMEMBERED).time_to_live(MADE).build();
        Self { pool: pool.clone(), boards: boards.clone(), places: Arc::new(Semaphore::new(AT_ONCE)), made }
    }

    /// Makes a board anew; answers how many items stand on it.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many are made; [`Error::Unavailable`] where a store is away.
    pub async fn rebuild(&self, board: &Board) -> Result<i64, Error<Refusal>> {
        let _place = self.places.try_acquire().map_err(|_| Error::Overloaded { retry_after: RETRY })?;
        self.make(board, "asked").await
    }

    /// Makes a board that Redis does not have, or not all of it, as it has not had one yet or has lost it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a store is away.
    pub async fn make_missing(&self, board: &Board) -> Result<(), Error<Refusal>> {
        let make = async {
            // Nobody closes it.
            let _place = self.places.acquire().await.ok();
            self.make(board, "missing").await.map(drop)
        };
        let made = self.made.try_get_with(*board, make).await.map_err(|error| told(&error));
        // Those who waited have been told. It may be lost again in the next moment, and is then made again.
        self.made.invalidate(board).await;
        made
    }

    async fn make(&self, board: &Board, cause: &'static str) -> Result<i64, Error<Refusal>> {
        for _ in 0..TRIES {
            if let Some(items) = self.make_once(board).await? {
                metrics::counter!("booster_ranking_rebuilds_total", "cause" => cause).increment(1);
                return Ok(items);
            }
        }
        Err(Error::unavailable(anyhow::anyhow!("the board {board} is lost again and again while it is made")))
    }

    /// Nothing where some of it was lost meanwhile.
    async fn make_once(&self, board: &Board) -> Result<Option<i64>, Error<Refusal>> {
        // Read first: PostgreSQL, which is read after that, knows all of it, in this version or a newer one.
        let mut there = self.boards.kept(board).await?.items;
        let (mut after, mut known, mut listed) = (String::new(), 0, 0);
        loop {
            let page = day::page(&self.pool, board, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.item_id.to_string();
            for Score { item_id, version, .. } in &page {
                if let Some((_, found)) = there.remove(item_id.as_str()).filter(|(_, found)| found > version) {
                    self.boards.drop_item(board, item_id.as_str(), found).await?;
                }
            }
            for scores in page.chunks(PUSHED_MOST) {
                if self.boards.push(board, scores).await? == Pushed::Past {
                    return Ok(Some(0));
                }
            }
            known += page.len();
            listed += page.iter().filter(|score| score.score > 0).count();
        }
        if known == 0 && !board.has_begun(kit::clock::now()) {
            // Whoever asks for days to come does not make boards of them.
            return Ok(Some(0));
        }
        for (item, (_, version)) in there {
            self.boards.drop_item(board, &item, version.max(NONE_OF_OURS + 1)).await?;
        }
        Ok(match self.boards.finish(board, known).await? {
            Finished::Whole => Some(i64::try_from(listed).unwrap_or(i64::MAX)),
            Finished::Past => Some(0),
            Finished::Lost => None,
        })
    }
}
