//! Everything that ranking asks of Redis: keys, calls, replies.

mod reply;

use std::collections::BTreeMap;
use std::time::Duration;

use fred::types::Value;
use kit::config::Servers;
use kit::redis::{CallError, Lane, Library, Redis};

use crate::board::{Board, Entry, ItemId, NAME, Score, Standing, Top};
use reply::Reply;

/// The functions of this service. The number grows with every change of what a function takes, does or answers.
pub const LIBRARY: Library =
    Library { name: "ranking_1", sources: &[include_str!("redis/board.lua"), include_str!("redis/top.lua")] };

/// Scores in one call, at most.
pub const PUSHED_MOST: usize = 256;
/// About how many items are read in one call by whoever reads a whole board.
const PAGE: usize = 500;
/// The field of the versions that says that the board is whole.
const WHOLE: &str = ":whole";
/// Stands for what cannot be a score, or a version.
pub const NONE_OF_OURS: i64 = -1;

/// The boards in Redis.
#[derive(Clone)]
pub struct Boards {
    redis: Redis,
    /// What stands before the name of a board.
    before: String,
}

/// What Redis said of a board.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// Here it is.
    Found(T),
    /// It does not have the board, or not all of it.
    Missing,
}

/// What became of scores that were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// They are on the board, which is whole.
    Whole,
    /// They are on the board, and others may be missing.
    Partly,
    /// The board is not kept any more.
    Past,
}

/// What became of a board that was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is whole.
    Whole,
    /// Some of it was lost meanwhile.
    Lost,
    /// It is not kept any more.
    Past,
}

/// A board as it is kept: of each item its score (0 where it is not listed) and its version (0 where it has none), or
/// [`NONE_OF_OURS`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// By the item, whatever stands there.
    pub items: BTreeMap<String, (i64, i64)>,
    /// Whether it says that it is whole.
    pub whole: bool,
}

/// What is known of all time.
#[derive(Debug, PartialEq, Eq)]
pub struct KeptTop {
    /// What PostgreSQL has said.
    pub top: Top,
    /// How long ago that was put there.
    pub age: Duration,
    /// Whether it is old, and this caller is to ask again.
    pub is_due: bool,
}

impl Boards {
    /// Names the keys within the namespace of `servers`.
    #[must_use]
    pub fn new(redis: Redis, servers: &Servers) -> Self {
        Self { redis, before: servers.prefixed(&format!("{{{}:{NAME}:", crate::SERVICE)) }
    }

    /// The keys of a board: its scores, and their versions.
    #[must_use]
    pub fn keys(&self, board: &Board) -> [String; 2] {
        ["scores", "versions"].map(|kind| format!("{}{board}}}:{kind}", self.before))
    }

    /// The key of all time.
    #[must_use]
    pub fn top_key(&self) -> String {
        format!("{}all-time}}:top", self.before)
    }

    /// On which channel it is said that the top of all time has changed: as of when, in microseconds since 1970.
    #[must_use]
    pub fn changes(&self) -> String {
        format!("{}all-time}}:changes", self.before)
    }

    /// Puts scores on a board, at most [`PUSHED_MOST`].
    pub async fn push(&self, board: &Board, scores: &[Score]) -> Result<Pushed, CallError> {
        let mut args = vec![board.expires_ms().to_string()];
        for Score { item_id, score, version } in scores {
            args.extend([item_id.to_string(), score.to_string(), version.to_string()]);
        }
        let reply = self.call("ranking_push_1", board, args).await?;
        reply.status(|status, reply| match status {
            "OK" if reply.number()? == 1 => Some(Pushed::Whole),
            "OK" => Some(Pushed::Partly),
            "PAST" => Some(Pushed::Past),
            _ => None,
        })
    }

    /// Says that so many items have been pushed, which is all of them.
    pub async fn finish(&self, board: &Board, items: usize) -> Result<Finished, CallError> {
        let args = vec![board.expires_ms().to_string(), items.to_string()];
        let reply = self.call("ranking_finish_1", board, args).await?;
        reply.status(|status, _| match status {
            "OK" => Some(Finished::Whole),
            "LOST" => Some(Finished::Lost),
            "PAST" => Some(Finished::Past),
            _ => None,
        })
    }

    /// Takes an item off, unless it has another version than this one by now; 0 where it had none.
    pub async fn drop_item(&self, board: &Board, item: &str, version: i64) -> Result<(), CallError> {
        let version = if version == 0 { String::new() } else { version.to_string() };
        let reply = self.call("ranking_drop_1", board, vec![item.to_owned(), version]).await?;
        reply.status(|status, _| (status == "OK").then_some(()))
    }

    /// The first places of a board.
    pub async fn top(&self, board: &Board, places: usize) -> Result<Answer<Top>, CallError> {
        let reply = self.call("ranking_top_1", board, vec![places.to_string()]).await?;
        reply.status(|status, reply| match status {
            "OK" => reply.top().map(Answer::Found),
            "MISSING" => Some(Answer::Missing),
            _ => None,
        })
    }

    /// Where an item stands, and up to so many on each side of it; nothing where it is not on the board.
    pub async fn rank(
        &self,
        board: &Board,
        item_id: &ItemId,
        neighbours: usize,
    ) -> Result<Answer<Option<Standing>>, CallError> {
        let args = vec![item_id.to_string(), neighbours.to_string()];
        let reply = self.call("ranking_rank_1", board, args).await?;
        reply.status(|status, reply| match status {
            "OK" => reply.standing().map(|standing| Answer::Found(Some(standing))),
            "NONE" => Some(Answer::Found(None)),
            "MISSING" => Some(Answer::Missing),
            _ => None,
        })
    }

    /// All that is kept of a board, read page by page: not one moment, where scores are pushed meanwhile.
    pub async fn kept(&self, board: &Board) -> Result<Kept, CallError> {
        let mut kept = Kept::default();
        for (item, score) in self.pages(board, "scores").await? {
            let score = score.filter(|score| *score < 0).and_then(i64::checked_neg);
            kept.items.entry(item).or_default().0 = score.unwrap_or(NONE_OF_OURS);
        }
        for (item, version) in self.pages(board, "versions").await? {
            if item == WHOLE {
                kept.whole = true;
            } else {
                kept.items.entry(item).or_default().1 = version.unwrap_or(NONE_OF_OURS);
            }
        }
        Ok(kept)
    }

    /// What is known of all time. Older than `old` it is due: one caller at a time is told so, and `patience` later another one.
    pub async fn find_top(&self, old: Duration, patience: Duration) -> Result<Option<KeptTop>, CallError> {
        let args = [old, patience].map(|span| span.as_millis().to_string());
        let reply = self.call_top("ranking_find_top_1", args.to_vec()).await?;
        reply.status(|status, reply| match status {
            "OK" => {
                let reply::KeptTop { as_of_us, age, is_due, entries } = reply.kept_top()?;
                let top = Top { entries, as_of: reply::from_micros(as_of_us) };
                Some(Some(KeptTop { top, age, is_due }))
            }
            "NONE" => Some(None),
            _ => None,
        })
    }

    /// Puts what PostgreSQL has said of all time, for so long, and tells whether that is another than before. Something newer stays.
    pub async fn put_top(&self, top: &Top, keep: Duration) -> Result<bool, CallError> {
        let entries = top.entries.iter().map(|Entry { item_id, score, .. }| (item_id.as_str(), *score));
        let entries = serde_json::to_string(&entries.collect::<Vec<_>>()).unwrap_or_default();
        let args = vec![reply::to_micros(top.as_of).to_string(), entries, keep.as_millis().to_string()];
        let reply = self.call_top("ranking_put_top_1", args).await?;
        reply.status(|status, reply| match status {
            "OK" => Some(reply.number()? == 1),
            "OLD" => Some(false),
            _ => None,
        })
    }

    async fn pages(&self, board: &Board, kind: &str) -> Result<Vec<(String, Option<i64>)>, CallError> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let args = vec![kind.to_owned(), cursor, PAGE.to_string()];
            let reply = self.call("ranking_page_1", board, args).await?;
            let (next, page) = reply.status(|status, reply| (status == "OK").then(|| (reply.text(), reply.pairs())))?;
            all.extend(page);
            cursor = next.unwrap_or_else(|| "0".to_owned());
            if cursor == "0" {
                return Ok(all);
            }
        }
    }

    async fn call(&self, function: &'static str, board: &Board, args: Vec<String>) -> Result<Reply, CallError> {
        let args = args.into_iter().map(Value::from).collect();
        Ok(Reply::new(self.lane(board).call(function, self.keys(board).to_vec(), args).await?))
    }

    async fn call_top(&self, function: &'static str, args: Vec<String>) -> Result<Reply, CallError> {
        let args = args.into_iter().map(Value::from).collect();
        Ok(Reply::new(self.redis.lane(0).call(function, vec![self.top_key()], args).await?))
    }

    /// A board is always on the same lane.
    fn lane(&self, board: &Board) -> &Lane {
        self.redis.lane(u64::try_from(board.expires_ms() / 86_400_000).unwrap_or_default())
    }
}
