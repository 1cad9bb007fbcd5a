//! Whether a process can be asked: named conditions, and the admin port that tells of them. A process is ready once all
//! of its conditions were met at the same time, and stays so until it drains: a dependency that is lost later is told
//! of, but what can go on goes on, and a cluster that takes every copy out of service at once helps nobody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::watch;

mod admin;
mod standard;

pub(crate) use admin::serve as serve_admin;
pub(crate) use standard::Standard;

/// The conditions of a process. A cheap handle.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<Conditions>>);

#[derive(Debug, Default)]
struct Conditions {
    /// What each condition waits for; nothing where it is met.
    waiting_for: BTreeMap<String, Option<String>>,
    was_ready: bool,
    draining: bool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Conditions::default())))
    }

    /// The condition `name` is not met, because of `reason`: "connecting". Before the process is ready this holds it
    /// back, after that it is only told.
    pub fn waiting(&self, name: &str, reason: impl Into<String>) {
        self.set(name, Some(reason.into()));
    }

    /// The condition `name` is met.
    pub fn ready(&self, name: &str) {
        self.set(name, None);
    }

    /// Whether the process can be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// Returns once the process can be asked, or can no longer.
    pub async fn settled(&self) {
        let mut changes = self.0.subscribe();
        // The sender is alive, because `self` is.
        let _ = changes.wait_for(|conditions| conditions.is_ready() || conditions.draining).await;
    }

    /// From now on the process is not ready, whatever happens.
    pub(crate) fn drain(&self) {
        self.0.send_modify(|conditions| conditions.draining = true);
    }

    /// Whether it is ready, and a line for each condition that is not met.
    pub(crate) fn report(&self) -> (bool, String) {
        let conditions = self.0.borrow();
        let ready = conditions.is_ready();
        let mut text = String::new();
        if ready {
            text.push_str("ready\n");
        } else if conditions.draining {
            text.push_str("draining\n");
        }
        for (name, reason) in &conditions.waiting_for {
            if let Some(reason) = reason {
                let _ = writeln!(text, "{name}: {reason}");
            }
        }
        (ready, text)
    }

    fn set(&self, name: &str, reason: Option<String>) {
        let met = if reason.is_none() { 1.0 } else { 0.0 };
        metrics::gauge!("booster_condition_met", "condition" => name.to_owned()).set(met);
        self.0.send_modify(|conditions| {
            conditions.waiting_for.insert(name.to_owned(), reason);
            let all_met = conditions.waiting_for.values().all(Option::is_none);
            if all_met && !conditions.was_ready {
                conditions.was_ready = true;
                tracing::info!("ready");
            }
        });
    }
}

impl Conditions {
    fn is_ready(&self) -> bool {
        self.was_ready && !self.draining
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_once_every_condition_was_met_at_the_same_time() {
        let readiness = Readiness::new();
        readiness.waiting("redis", "connecting");
        readiness.waiting("postgres", "connecting");
        readiness.ready("redis");
        assert_eq!(readiness.report(), (false, "postgres: connecting\n".into()));
        readiness.waiting("redis", "lost");
        readiness.ready("postgres");
        assert_eq!(readiness.report(), (false, "redis: lost\n".into()));
        readiness.ready("redis");
        assert_eq!(readiness.report(), (true, "ready\n".into()));
    }

    #[test]
    fn a_dependency_lost_later_is_told_and_takes_nothing_away() {
        let readiness = Readiness::new();
        readiness.ready("redis");
        readiness.waiting("redis", "connection refused");
        assert_eq!(readiness.report(), (true, "ready\nredis: connection refused\n".into()));
    }

    #[tokio::test]
    async fn draining_is_for_good() {
        let readiness = Readiness::new();
        readiness.ready("redis");
        readiness.settled().await;
        readiness.drain();
        readiness.ready("redis");
        assert_eq!(readiness.report(), (false, "draining\n".into()));
        readiness.settled().await;
    }
}
