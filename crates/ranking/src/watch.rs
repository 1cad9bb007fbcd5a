//! Watching: a process looks at a board once for all who watch it, and each is told the newest top that he has not seen.

mod hub;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use kit::boot::{Process, Stage};
use kit::error::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::board::{Entry, Refusal, Shown, Top};
use crate::find::Finder;

/// Streams of one process, at most; beyond it they are refused.
const WATCHERS: usize = 10_000;
/// Boards that are watched in one process, at most.
const BOARDS: usize = 256;
/// When to come back after that.
const RETRY: Duration = Duration::from_secs(5);
/// The shortest time between two tops that one watcher is told.
pub const APART: Duration = Duration::from_millis(500);

/// A top, and when it was begun to look at it.
struct Seen {
    top: Top,
    began: Instant,
}

/// Who watches what. A cheap handle.
#[derive(Clone)]
pub struct Watches {
    watched: Arc<Mutex<HashMap<Shown, hub::Watched>>>,
    places: Arc<Semaphore>,
}

impl Watches {
    /// Starts to look.
    #[must_use]
    pub fn start(process: &Process, finder: &Finder) -> Self {
        let watches = Self { watched: Arc::default(), places: Arc::new(Semaphore::new(WATCHERS)) };
        let hub = hub::Hub::new(watches.clone(), finder.clone());
        process.spawn(Stage::Work, "watches", |told| hub.run(told));
        watches
    }

    /// What is newly seen of the first places of a board from now on.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many watch, or too many boards are watched.
    pub fn watch(&self, shown: &Shown, places: usize) -> Result<Watcher, Error<Refusal>> {
        let overloaded = || Error::Overloaded { retry_after: RETRY };
        let place = self.places.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.len() >= BOARDS && !watched.contains_key(shown) {
            return Err(overloaded());
        }
        let news = watched.entry(*shown).or_default().subscribe();
        Ok(Watcher { news, places, since: Instant::now(), last: None, _place: place })
    }

    /// How many watch.
    fn watchers(&self) -> usize {
        WATCHERS - self.places.available_permits()
    }
}

/// One who watches a board.
pub struct Watcher {
    news: watch::Receiver<Option<Arc<Seen>>>,
    /// How many places he is told.
    places: usize,
    /// Looks that began earlier may have seen less than he has.
    since: Instant,
    /// What he was told last, and when.
    last: Option<(Vec<Entry>, Instant)>,
    /// Given back when the stream ends.
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The top as it stood after the watching began, so that nothing between is missed; and again whenever that changes. It ends
    /// when the process does.
    pub fn tops(mut self, first: Top) -> impl Stream<Item = Top> + use<> {
        self.since = Instant::now();
        futures::stream::unfold((self, Some(first)), |(watcher, first)| watcher.next(first))
    }

    async fn next(mut self, first: Option<Top>) -> Option<(Top, (Self, Option<Top>))> {
        let top = match first {
            Some(first) => first,
            None => self.newer().await?,
        };
        self.last = Some((top.first(self.places).to_vec(), Instant::now()));
        Some((top, (self, None)))
    }

    async fn newer(&mut self) -> Option<Top> {
        loop {
            // It fails once nobody looks any more.
            self.news.changed().await.ok()?;
            if let Some((_, at)) = &self.last {
                tokio::time::sleep_until(*at + APART).await;
            }
            // What has come meanwhile is newer.
            let seen = self.news.borrow_and_update().clone();
            if let Some(seen) = seen.filter(|seen| self.is_news(seen)) {
                return Some(seen.top.clone());
            }
        }
    }

    fn is_news(&self, seen: &Seen) -> bool {
        let told = self.last.as_ref().map(|(entries, _)| entries.as_slice());
        seen.began >= self.since && told != Some(seen.top.first(self.places))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::board::{ItemId, ranked};

    fn top(scores: &[i64]) -> Top {
        let scores = scores.iter().map(|score| (ItemId::parse(&format!("i{score}")).unwrap(), *score));
        Top { entries: ranked(1, scores), as_of: kit::clock::now() }
    }

    fn watcher(places: usize) -> (watch::Sender<Option<Arc<Seen>>>, Watcher) {
        let (sender, news) = watch::channel(None);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (sender, Watcher { news, places, since: Instant::now(), last: None, _place: place })
    }

    fn tell(sender: &watch::Sender<Option<Arc<Seen>>>, scores: &[i64]) {
        sender.send_replace(Some(Arc::new(Seen { top: top(scores), began: Instant::now() })));
    }

    #[tokio::test]
    async fn a_slow_watcher_gets_the_newest_and_none_more_often_than_twice_a_second() {
        let (sender, watcher) = watcher(2);
        let mut tops = Box::pin(watcher.tops(top(&[9, 8, 7])));
        assert_eq!(tops.next().await.unwrap().entries.len(), 3);
        let told = Instant::now();
        tell(&sender, &[10, 9, 8]);
        tell(&sender, &[12, 9, 8]);
        assert_eq!(tops.next().await.unwrap().entries[0].score, 12);
        // The clock of the runtime counts in milliseconds.
        assert!(told.elapsed() + Duration::from_millis(2) > APART, "{:?}", told.elapsed());
        // What changes behind the places that he is told is no news; and what is the same is none.
        tell(&sender, &[12, 9, 1]);
        let next = tokio::time::timeout(APART * 2, tops.next()).await;
        assert!(next.is_err(), "{next:?}");
        tell(&sender, &[13, 12, 9]);
        assert_eq!(tops.next().await.unwrap().entries[0].score, 13);
        drop(sender);
        assert!(tops.next().await.is_none());
    }

    #[tokio::test]
    async fn a_look_that_began_earlier_is_no_news() {
        let (sender, watcher) = watcher(2);
        let early = Instant::now();
        let mut tops = Box::pin(watcher.tops(top(&[9])));
        tops.next().await.unwrap();
        sender.send_replace(Some(Arc::new(Seen { top: top(&[8]), began: early })));
        assert!(tokio::time::timeout(APART * 2, tops.next()).await.is_err());
    }
}
