//! Looks at every watched board of a process, at most twice a second.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kit::error::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Seen, Watches};
use crate::board::{Refusal, Shown, Top};
use crate::find::Finder;

/// How often a board is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A board that somebody watches.
#[derive(Default)]
pub(super) struct Watched {
    news: watch::Sender<Option<Arc<Seen>>>,
    /// Whether a look is on its way.
    busy: bool,
}

impl Watched {
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Seen>>> {
        self.news.subscribe()
    }
}

/// A board, when it was begun to look at it, and what was seen.
type Looked = (Shown, Instant, Result<Top, Error<Refusal>>);

pub(super) struct Hub {
    watches: Watches,
    finder: Finder,
    /// At most one for each board that is watched, whose number is bounded.
    looks: FuturesUnordered<BoxFuture<'static, Looked>>,
}

impl Hub {
    pub(super) fn new(watches: Watches, finder: Finder) -> Self {
        Self { watches, finder, looks: FuturesUnordered::new() }
    }

    pub(super) async fn run(mut self, told: CancellationToken) -> anyhow::Result<()> {
        let mut turn = tokio::time::interval(LOOK_EVERY);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told.cancelled() => break,
                Some(looked) = self.looks.next() => self.tell(looked),
                _ = turn.tick() => self.turn(),
            }
        }
        // Whoever watches is told that nobody looks any more.
        self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Sends out a look at each board, and forgets what nobody watches any more.
    fn turn(&mut self) {
        let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, board| board.news.receiver_count() > 0);
        for (shown, board) in watched.iter_mut().filter(|(_, board)| !board.busy) {
            board.busy = true;
            let (shown, began, finder) = (*shown, Instant::now(), self.finder.clone());
            self.looks.push(Box::pin(async move { (shown, began, finder.top(&shown, shown.most()).await) }));
        }
        drop(watched);
        metrics::gauge!("booster_ranking_watchers").set(u32::try_from(self.watches.watchers()).unwrap_or(u32::MAX));
    }

    fn tell(&self, (shown, began, looked): Looked) {
        let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(board) = watched.get_mut(&shown) else { return };
        board.busy = false;
        // Also where it is what was told before: who came since then has begun with what he saw himself, and each knows his last.
        // Where a store is away, what was told last stays.
        if let Ok(top) = looked {
            board.news.send_replace(Some(Arc::new(Seen { top, began })));
        }
    }
}
