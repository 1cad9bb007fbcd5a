//! The tasks of a process: who runs, and in which order they are told to stop. Nothing else in Booster spawns, so that
//! a drain knows all it has to wait for.

use crate::error::Fault;
use futures::FutureExt;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// When a task is told to stop. Each stage has ended before the next is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// First: what takes in new work. gRPC, other acceptors, pollers.
    Door,
    /// Then: what works off what was taken in. Batchers, relays, consumers.
    Work,
    /// Last: what that needed. Pools, heartbeats.
    Store,
}

/// All tasks of a process. A cheap handle.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    door: Group,
    work: Group,
    store: Group,
    failed: AtomicBool,
    /// Begins the drain.
    stop: CancellationToken,
}

#[derive(Default)]
struct Group {
    told: CancellationToken,
    tracker: TaskTracker,
    running: Mutex<BTreeMap<&'static str, usize>>,
}

impl Tasks {
    /// Runs what `make` makes of the token by which it is told to stop. One that fails, or panics, ends the process.
    pub(super) fn spawn<F>(&self, stage: Stage, name: &'static str, make: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let group = self.group(stage);
        let task = AssertUnwindSafe(make(group.told.clone())).catch_unwind();
        let tasks = self.clone();
        group.enter(name);
        group.tracker.spawn(async move {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tasks.fail(name, &error.into()),
                Err(panic) => tasks.fail(name, &Fault::panicked(&*panic)),
            }
            tasks.group(stage).leave(name);
        });
    }

    /// Begins the drain.
    pub(super) fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Returns when the drain has begun.
    pub(super) async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Whether a task has failed.
    pub(super) fn failed(&self) -> bool {
        self.0.failed.load(Ordering::Acquire)
    }

    /// Tells one stage after the other to stop, and waits for it.
    pub(super) async fn drain(&self) {
        for stage in [Stage::Door, Stage::Work, Stage::Store] {
            let group = self.group(stage);
            group.told.cancel();
            group.tracker.close();
            group.tracker.wait().await;
            tracing::debug!(?stage, "a stage has ended");
        }
    }

    /// The names of the tasks that still run.
    pub(super) fn running(&self) -> Vec<&'static str> {
        let names = |stage| self.group(stage).names();
        [Stage::Door, Stage::Work, Stage::Store].into_iter().flat_map(names).collect()
    }

    fn fail(&self, task: &'static str, fault: &Fault) {
        tracing::error!(task, cause = fault.chain(), "a task failed; the process ends");
        self.0.failed.store(true, Ordering::Release);
        self.stop();
    }

    fn group(&self, stage: Stage) -> &Group {
        match stage {
            Stage::Door => &self.0.door,
            Stage::Work => &self.0.work,
            Stage::Store => &self.0.store,
        }
    }
}

impl Group {
    fn enter(&self, name: &'static str) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    fn leave(&self, name: &'static str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = running.get_mut(name) {
            *number -= 1;
            if *number == 0 {
                running.remove(name);
            }
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}
