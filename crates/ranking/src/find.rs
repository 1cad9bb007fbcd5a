//! Looking: the top of a board, and where an item stands.

use kit::error::Error;
use kit::redis::CallError;

use crate::all_time::AllTime;
use crate::board::{Board, ItemId, NEIGHBOURS, Refusal, Shown, Standing, Top};
use crate::rebuild::Rebuilds;
use crate::redis::{Answer, Boards};

/// What is looked at. A cheap handle.
#[derive(Clone)]
pub struct Finder {
    /// Days and weeks.
    pub boards: Boards,
    /// Makes those that are missing.
    pub rebuilds: Rebuilds,
    /// All time.
    pub all_time: AllTime,
}

impl Finder {
    /// The first places, or a few more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a store is away.
    pub async fn top(&self, shown: &Shown, places: usize) -> Result<Top, Error<Refusal>> {
        match shown {
            Shown::AllTime => Ok(self.all_time.top().await?.as_ref().clone()),
            Shown::Board(board) => {
                let empty = || Top { entries: Vec::new(), as_of: kit::clock::now() };
                let top = self.whole(board, || self.boards.top(board, places)).await?;
                Ok(top.unwrap_or_else(empty))
            }
        }
    }

    /// Where an item stands, and who stands beside it.
    ///
    /// # Errors
    /// [`Refusal::RankNotFound`]; [`Error::Unavailable`] where a store is away.
    pub async fn rank(&self, board: &Board, item_id: &ItemId) -> Result<Standing, Error<Refusal>> {
        let standing = self.whole(board, || self.boards.rank(board, item_id, NEIGHBOURS)).await?;
        Ok(standing.flatten().ok_or(Refusal::RankNotFound)?)
    }

    /// Looks at a board, and where it is missing once more after it was made. Nothing where it is missing, and has not begun.
    async fn whole<T, F>(&self, board: &Board, look: impl Fn() -> F) -> Result<Option<T>, Error<Refusal>>
    where
        F: Future<Output = Result<Answer<T>, CallError>>,
    {
        if let Answer::Found(found) = look().await? {
            return Ok(Some(found));
        }
        // Whoever asks for days to come does not make boards of them.
        if !board.has_begun(kit::clock::now()) {
            return Ok(None);
        }
        self.rebuilds.make_missing(board).await?;
        match look().await? {
            Answer::Found(found) => Ok(Some(found)),
            Answer::Missing => Err(Error::unavailable(anyhow::anyhow!("the board {board} was lost as it was made"))),
        }
    }
}
