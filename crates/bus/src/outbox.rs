//! The outbox: what a service whose truth is in PostgreSQL has to tell, written in the transaction that makes it true.
//!
//! A verb changes rows in a [`Change`], which is committed with the events that tell of it, and in no other way. A consumer's
//! effects are written in the transaction of the inbox: they answer what they have [`Told`].

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::error::Error;
use kit::postgres::{Failure, Pool, Tx, begin, commit};
use tokio::sync::Notify;

use crate::event::NewEvent;
use crate::failed::Failed;
use crate::postgres::outbox;

/// Ids that may have been given since the oldest row that waits for Kafka; beyond it nothing is begun that would have to tell of
/// itself. One row that Kafka does not take is enough, once so many have come after it.
pub const UNSENT_MOST: i64 = 5_000_000;
/// When to come back then.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// The outbox of one service. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<State>);

#[derive(Debug, Default)]
struct State {
    bell: Notify,
    full: AtomicBool,
}

impl Outbox {
    /// Begins a transaction that changes aggregates, and can only be committed together with what tells of it.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: too much waits for Kafka. Or PostgreSQL is away.
    pub async fn begin<R>(&self, pool: &Pool) -> Result<Change, Error<R>> {
        if self.is_full() {
            return Err(Error::Overloaded { retry_after: FULL_RETRY });
        }
        Ok(Change { tx: begin(pool).await?, outbox: self.clone() })
    }

    /// Writes what effects have to tell, in the transaction of the inbox. What the partition key of an event names has been locked
    /// before it was changed, so that its events stand here in the order in which they happened.
    ///
    /// # Errors
    /// Too much waits for Kafka; or PostgreSQL refuses an event (see the bounds in the README), or is away.
    pub async fn tell(&self, tx: &mut Tx, events: &[NewEvent]) -> Result<Told, Failed> {
        if self.is_full() {
            return Err(Failed::OutboxFull);
        }
        outbox::write(tx, events).await?;
        Ok(Told { outbox: Some(self.clone()), worker: None })
    }

    /// Whether so much waits for Kafka that nothing should be begun.
    fn is_full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }

    /// Notes how many rows wait for Kafka, as good as.
    pub(crate) fn note_unsent(&self, unsent: i64) {
        self.0.full.store(unsent > UNSENT_MOST, Ordering::Relaxed);
    }

    /// Waits until this process has written something.
    pub(crate) async fn rung(&self) {
        self.0.bell.notified().await;
    }

    fn ring(&self) {
        self.0.bell.notify_one();
    }
}

/// A transaction that changes aggregates. Dropped, it changes nothing.
#[must_use = "what is not committed is rolled back"]
pub struct Change {
    tx: Tx,
    outbox: Outbox,
}

impl Change {
    /// Commits it together with the events that tell of it, and wakes the relay. What the partition key of an event names has been
    /// locked before it was changed, so that its events stand in the outbox in the order in which they happened. No events at all
    /// say that nothing has changed that anybody could see.
    ///
    /// # Errors
    /// PostgreSQL refuses an event, or is away; where the connection broke, nobody knows whether it was committed.
    pub async fn commit(mut self, events: &[NewEvent]) -> Result<(), Failure> {
        outbox::write(&mut self.tx, events).await?;
        commit(self.tx).await?;
        self.outbox.ring();
        Ok(())
    }
}

impl Deref for Change {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

/// What effects have told, and whom they have given work: once their transaction is committed, the relay and the worker are woken.
#[derive(Debug)]
#[must_use]
pub struct Told {
    outbox: Option<Outbox>,
    worker: Option<Arc<Notify>>,
}

impl Told {
    /// These effects have nothing to tell.
    pub fn nothing() -> Self {
        Self { outbox: None, worker: None }
    }

    /// They have written rows that a worker of this process works off: it is woken too. One that nobody wakes, because the process died
    /// or another one wrote the rows, has to look by itself.
    pub fn waking(self, worker: &Arc<Notify>) -> Self {
        Self { worker: Some(worker.clone()), ..self }
    }

    /// To be called after the commit.
    pub(crate) fn ring(self) {
        if let Some(outbox) = self.outbox {
            outbox.ring();
        }
        if let Some(worker) = self.worker {
            worker.notify_one();
        }
    }
}
