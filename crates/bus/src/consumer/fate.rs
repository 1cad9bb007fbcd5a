//! What is to become of each record of a batch: what is known of it, asked in the transaction of the batch, decides.

use std::collections::HashSet;

use kit::postgres::{Failure, Tx};

use super::received::Received;
use crate::event::Event;
use crate::postgres::inbox::{self, Reach};
use crate::postgres::parked::{self, Lies};

/// Why a batch is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is the consumer's: what is older than the inbox reaches came late, and is parked. How far each journal has come is noted.
    Live,
    /// Somebody asked for it again: what is older may have taken effect long ago, and is left alone. What lies before the span may
    /// not have come yet, so that nothing is said of the journals.
    Replay,
}

/// What is to become of one record.
pub(super) enum Fate {
    /// The inbox decides.
    Arrives(Event),
    /// It is parked, for this cause.
    Parked(String),
    /// An operator has discarded it.
    Discarded,
    /// It is left alone: see [`Turn::Replay`].
    Skipped,
}

/// What PostgreSQL knows of a batch.
pub(super) struct Known {
    /// Parking keys that have something parked.
    waiting: HashSet<String>,
    /// Of the events of these keys, and of keys that are about to wait, the ids of those that have taken effect.
    seen: HashSet<String>,
    /// Records that an operator has discarded.
    discarded: HashSet<Lies>,
    reach: Reach,
    turn: Turn,
}

impl Known {
    /// Locks the parked rows of all keys of the batch; `reach` may lock the inbox after them.
    pub(super) async fn ask(
        tx: &mut Tx,
        consumer: &str,
        batch: &[Received],
        (reach, turn): (Option<Reach>, Turn),
        is_bad: bool,
    ) -> Result<Self, Failure> {
        let mut keys: Vec<String> = batch.iter().map(Received::parking_key).collect();
        keys.sort();
        keys.dedup();
        let waiting = parked::keys(tx, consumer, &keys).await?;
        let reach = match reach {
            Some(reach) => reach,
            None => inbox::hold_reach(tx).await?,
        };
        let mut known = Self { waiting, seen: HashSet::new(), discarded: HashSet::new(), reach, turn };
        known.seen = known.ask_seen(tx, consumer, batch).await?;
        // The inbox was not told of what was discarded by a version of before.
        let all = is_bad || turn == Turn::Replay;
        let doubted = batch.iter().filter(|received| all || known.is_doubted(received));
        let doubted: Vec<Lies> = doubted.map(Received::lies).collect();
        known.discarded = parked::discarded(tx, consumer, &doubted).await?;
        Ok(known)
    }

    /// What becomes of it. With a `cause` it was found bad. Later ones of the batch wait behind what is parked.
    pub(super) fn fate(&mut self, received: &Received, cause: Option<&str>) -> Fate {
        if let Ok(event) = &received.event {
            // What has taken effect is not parked when it comes again, whatever came behind it.
            if self.seen.contains(&event.id) {
                return Fate::Arrives(event.clone());
            }
        }
        if self.discarded.contains(&received.lies()) {
            return Fate::Discarded;
        }
        let why = match (&received.event, cause) {
            (Ok(event), _) if self.turn == Turn::Replay && event.time < self.reach.from => return Fate::Skipped,
            (_, Some(cause)) => cause.to_owned(),
            (Err(unreadable), None) => unreadable.clone(),
            (Ok(event), None) => match self.out_of_reach(event) {
                Some(why) => why,
                None if self.waiting.contains(&received.parking_key()) => {
                    "an earlier event of the same key is parked".to_owned()
                }
                None => return Fate::Arrives(event.clone()),
            },
        };
        self.waiting.insert(received.parking_key());
        Fate::Parked(why)
    }

    /// Of the events whose key has something parked, or soon has, those that have taken effect.
    async fn ask_seen(&self, tx: &mut Tx, consumer: &str, batch: &[Received]) -> Result<HashSet<String>, Failure> {
        let beyond =
            batch.iter().filter(|received| received.event.as_ref().is_ok_and(|event| !self.reach.holds(event.time)));
        let mut keys: HashSet<String> = beyond.map(Received::parking_key).collect();
        keys.extend(self.waiting.iter().cloned());
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let keyed = batch.iter().filter(|received| keys.contains(&received.parking_key()));
        let (ids, times): (Vec<_>, Vec<_>) = keyed
            .filter_map(|received| received.event.as_ref().ok())
            // What it does not reach it cannot have, and PostgreSQL may not even have a name for such a time.
            .filter(|event| self.reach.holds(event.time))
            .map(|event| (event.id.clone(), event.time))
            .unzip();
        inbox::seen(tx, consumer, &ids, &times).await
    }

    /// Whether it would be parked, or was when it came first: the inbox did not reach an event yet that came early.
    fn is_doubted(&self, received: &Received) -> bool {
        match &received.event {
            Err(_) => true,
            Ok(event) => {
                let waits = self.waiting.contains(&received.parking_key()) && !self.seen.contains(&event.id);
                waits || !self.reach.holds(event.time) || received.came_early()
            }
        }
    }

    /// The inbox has partitions for a span of time; outside it nothing could be recognised when it comes again.
    fn out_of_reach(&self, event: &Event) -> Option<String> {
        if event.time >= self.reach.to {
            Some(format!("TIME_AHEAD: {} is later than the inbox reaches", event.time))
        } else if event.time < self.reach.from {
            Some(format!("TOO_OLD: {} is earlier than the inbox reaches", event.time))
        } else {
            None
        }
    }
}
