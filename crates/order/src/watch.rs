//! Watching: a process looks at all watched orders together, and each watcher is told the newest state that he has not seen.
//!
//! An order is changed by whichever process has its events, and nobody tells the others. So a process asks PostgreSQL for the versions of
//! all orders that are watched here, in one statement a few times a second, and reads those that have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::{Failure, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::order::{Order, OrderId, Refusal};
use crate::postgres::order as rows;

/// Streams of one process, at most; beyond it they are refused.
const WATCHERS: usize = 10_000;
/// When to come back after that.
const WATCHERS_RETRY: Duration = Duration::from_secs(5);
/// How often it is looked what has changed, while anybody watches.
const LOOK_EVERY: Duration = Duration::from_millis(200);

type News = watch::Sender<Option<Arc<Order>>>;

/// Who watches what. A cheap handle.
#[derive(Clone)]
pub struct Watches {
    watched: Arc<Mutex<HashMap<OrderId, News>>>,
    places: Arc<Semaphore>,
}

impl Watches {
    /// Starts to look.
    #[must_use]
    pub fn start(process: &Process, pool: &Pool) -> Self {
        let watches = Self { watched: Arc::default(), places: Arc::new(Semaphore::new(WATCHERS)) };
        let (looking, pool) = (watches.clone(), pool.clone());
        process.spawn(Stage::Work, "watches", |told| async move {
            let mut turn = tokio::time::interval(LOOK_EVERY);
            turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while told.run_until_cancelled(turn.tick()).await.is_some() {
                if let Err(failure) = looking.look(&pool).await {
                    // Those who need PostgreSQL for more say that it is away.
                    tracing::debug!(
                        cause = format!("{:#}", anyhow::Error::new(failure)),
                        "watched orders cannot be read"
                    );
                }
            }
            // Whoever watches is told that nobody looks any more.
            looking.lock().clear();
            Ok(())
        });
        watches
    }

    /// What is newly seen of an order from now on.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where too many watch.
    pub fn watch(&self, order_id: &OrderId) -> Result<Watcher, Error<Refusal>> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::Overloaded { retry_after: WATCHERS_RETRY })?;
        let news = self.lock().entry(order_id.clone()).or_default().subscribe();
        Ok(Watcher { news, first: None, seen: 0, is_over: false, _place: place })
    }

    async fn look(&self, pool: &Pool) -> Result<(), Failure> {
        let known: HashMap<String, i64> = {
            let mut watched = self.lock();
            watched.retain(|_, news| news.receiver_count() > 0);
            let version = |news: &News| news.borrow().as_ref().map_or(0, |order| order.version);
            watched.iter().map(|(order_id, news)| (order_id.to_string(), version(news))).collect()
        };
        if known.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = known.keys().cloned().collect();
        let versions = rows::versions(pool, &ids).await?;
        let newer =
            versions.into_iter().filter(|(order_id, version)| known.get(order_id).is_some_and(|old| version > old));
        let newer: Vec<String> = newer.map(|(order_id, _)| order_id).collect();
        if newer.is_empty() {
            return Ok(());
        }
        let orders = rows::many(pool, &newer).await?;
        let watched = self.lock();
        for order in orders {
            if let Some(news) = watched.get(&order.order_id) {
                news.send_replace(Some(Arc::new(order)));
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OrderId, News>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who watches an order.
pub struct Watcher {
    news: watch::Receiver<Option<Arc<Order>>>,
    first: Option<Arc<Order>>,
    /// The version that was last told.
    seen: i64,
    is_over: bool,
    /// Given back when the stream ends.
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The order as it stood after the watching began, so that nothing between is missed; and again whenever that changes. It ends with
    /// a state that nothing follows, or with the process.
    pub fn views(self, order: Order) -> impl Stream<Item = Arc<Order>> + use<> {
        let watcher = Self { first: Some(Arc::new(order)), ..self };
        futures::stream::unfold(watcher, Self::next)
    }

    async fn next(mut self) -> Option<(Arc<Order>, Self)> {
        if self.is_over {
            return None;
        }
        let order = match self.first.take() {
            Some(first) => first,
            None => self.newer().await?,
        };
        self.seen = order.version;
        self.is_over = order.state.is_final();
        Some((order, self))
    }

    async fn newer(&mut self) -> Option<Arc<Order>> {
        loop {
            let newest = self.news.borrow_and_update().clone();
            if let Some(order) = newest.filter(|order| order.version > self.seen) {
                return Some(order);
            }
            // It fails once nobody looks any more.
            self.news.changed().await.ok()?;
        }
    }
}
