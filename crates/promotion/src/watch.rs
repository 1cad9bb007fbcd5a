//! Watching: a process looks at a deal once for all who watch it, and each is told the newest state that he has not seen.
//!
//! The functions say on a channel of the tag which deal has changed; this process listens over one connection to each primary.
//! What is said is a hint to look, so a message that is lost delays news and never makes them wrong: a watched deal is also
//! looked at when it opens or closes, and every few seconds.

mod hub;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::redis::Listener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::deal::{Course, Deal, DealId, Refusal, State};
use crate::redis::Deals;

/// Streams of one process, at most; beyond it they are refused.
const WATCHERS: usize = 10_000;
/// When to come back after that.
const WATCHERS_RETRY: Duration = Duration::from_secs(5);

/// A deal at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// How many coupons can still be claimed.
    pub remaining: i64,
    /// Where it stands.
    pub state: State,
    /// Counts rebuilds and releases of its tag.
    pub epoch: i64,
    /// Counts returns and raises.
    pub round: i64,
}

/// Who watches what. A cheap handle.
#[derive(Clone)]
pub struct Watches {
    watched: Arc<Mutex<HashMap<DealId, hub::Watched>>>,
    places: Arc<Semaphore>,
}

impl Watches {
    /// Starts to listen and to look.
    #[must_use]
    pub fn start(process: &Process, deals: &Deals, listener: &Listener) -> Self {
        let watches = Self { watched: Arc::default(), places: Arc::new(Semaphore::new(WATCHERS)) };
        let hub = hub::Hub::new(watches.clone(), deals.clone(), listener.clone());
        process.spawn(Stage::Work, "watches", |told| hub.run(told));
        watches
    }

    /// What is newly seen of a deal from now on.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many watch.
    pub fn watch(&self, deal_id: &DealId) -> Result<Watcher, Error<Refusal>> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::Overloaded { retry_after: WATCHERS_RETRY })?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let news = watched.entry(deal_id.clone()).or_default().subscribe();
        Ok(Watcher { news, last: None, first: None, _place: place })
    }
}

/// One who watches a deal.
pub struct Watcher {
    news: watch::Receiver<Option<View>>,
    last: Option<View>,
    first: Option<View>,
    /// Given back when the stream ends.
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The deal as it stood after the watching began, so that nothing between is missed; and again whenever that changes. It ends
    /// when the process does.
    pub fn views(self, deal: &Deal) -> impl Stream<Item = View> + use<> {
        let watcher = Self { first: Some(View::of(deal)), ..self };
        futures::stream::unfold(watcher, Self::next)
    }

    async fn next(mut self) -> Option<(View, Self)> {
        let view = match self.first.take() {
            Some(first) => first,
            None => self.newer().await?,
        };
        self.last = Some(view);
        Some((view, self))
    }

    async fn newer(&mut self) -> Option<View> {
        loop {
            // It fails once nobody looks any more.
            self.news.changed().await.ok()?;
            let view = *self.news.borrow_and_update();
            if view.is_some() && view != self.last {
                return view;
            }
        }
    }
}

impl View {
    fn of(deal: &Deal) -> Self {
        deal.course.map_or(Self::FROZEN, |course| Self::at(&course))
    }

    fn at(course: &Course) -> Self {
        Self { remaining: course.remaining(), state: course.state(), epoch: course.epoch, round: course.round }
    }

    const FROZEN: Self = Self { remaining: 0, state: State::Frozen, epoch: 0, round: 0 };
}
