//! Replays: dead letters take effect after all, one transaction each, in the order of their key, and at a rate.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures::stream::{Stream, try_unfold};
use kit::error::Fault;
use kit::grpc::Deadline;
use kit::postgres::{Failure, Tx, begin, commit};
use tokio::time::Instant;

use super::{Apply, Error, Repair};
use crate::dead_letter::{DeadLetter, Filter};
use crate::event::{Event, Unreadable};
use crate::failed::Failed;
use crate::inbox;
use crate::outbox::Told;
use crate::postgres::dead_letter::{self, Action, Candidate};

/// Dead letters a second, at most, where the operator says nothing.
pub const PER_SECOND: u32 = 100;
/// The most that he can say.
pub const PER_SECOND_MOST: u32 = 1_000;
/// Dead letters of which a replay reads at once where they are.
const PAGE: i64 = 500;
/// After so many failed replays a dead letter is quarantined.
const FAILURES: i32 = 3;

/// What is to be replayed, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which ones.
    pub filter: Filter,
    /// Only those that were parked after this one.
    pub after: i64,
    /// How many a second, at most; from 1 on.
    pub per_second: u32,
    /// Everything is done, and taken back.
    pub dry_run: bool,
    /// Who wants it.
    pub operator: String,
}

/// What became of one dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which one.
    pub id: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where it did not take effect now; else empty.
    pub cause: String,
    /// How many this replay has seen, this one included.
    pub done: i64,
    /// How many it will have seen at its end; it grows with what is parked meanwhile.
    pub total: i64,
}

/// What became of one dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, and is parked no more.
    Done,
    /// It had taken effect before, and is parked no more.
    Again,
    /// It failed as before, and stays; this counts.
    Failed,
    /// It would have taken effect.
    Would,
    /// It was not its turn, or nobody can take it; this does not count.
    Skipped,
}

/// Why a replay left a dead letter as it is: not its turn, or not a dead letter any more.
struct Passed(String);

impl Repair {
    /// Replays what the order says, until it has seen everything or `end` comes: then, as after any failure, the same order goes
    /// on where it was. Whoever drops the stream ends it; the dead letter that was on its way stays.
    pub fn replay(&self, order: Order, end: Deadline) -> impl Stream<Item = Result<Step, Error>> + Send + 'static {
        let run = Run {
            repair: self.clone(),
            after: order.after,
            order,
            end,
            page: VecDeque::new(),
            done: 0,
            total: 0,
            next: Instant::now(),
            would: HashSet::new(),
        };
        try_unfold(run, |mut run| async move { Ok(run.step().await?.map(|step| (step, run))) })
    }

    /// How many dead letters the order has before it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn left(&self, order: &Order) -> Result<i64, Error> {
        Ok(dead_letter::left(&self.pool, &order.filter, order.after).await?)
    }
}

struct Run {
    repair: Repair,
    order: Order,
    end: Deadline,
    page: VecDeque<Candidate>,
    /// The last one that was read.
    after: i64,
    done: i64,
    total: i64,
    /// When the next one may go.
    next: Instant,
    /// Of a dry run: those that would have taken effect. What comes behind one of them is tried as if it had.
    would: HashSet<i64>,
}

impl Run {
    async fn step(&mut self) -> Result<Option<Step>, Error> {
        if self.page.is_empty() {
            self.read().await?;
        }
        let Some(candidate) = self.page.pop_front() else { return Ok(None) };
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + Duration::from_secs(1) / self.order.per_second.max(1);
        if self.end.expired() {
            return Err(Error::Unavailable(Fault::new("the replay has taken as long as one call may")));
        }
        let (outcome, cause) = self.replay(&candidate).await?;
        self.done += 1;
        if !self.order.dry_run {
            count(candidate.consumer, outcome);
        }
        Ok(Some(Step { id: candidate.id, outcome, cause, done: self.done, total: self.total }))
    }

    async fn read(&mut self) -> Result<(), Error> {
        let (pool, filter) = (&self.repair.pool, &self.order.filter);
        self.total = self.done + dead_letter::left(pool, filter, self.after).await?;
        self.page = dead_letter::candidates(pool, filter, self.after, PAGE).await?.into();
        self.after = self.page.back().map_or(self.after, |last| last.id);
        Ok(())
    }

    /// One transaction.
    async fn replay(&mut self, candidate: &Candidate) -> Result<(Outcome, String), Error> {
        let mut tx = begin(&self.repair.pool).await?;
        let key = dead_letter::lock_key(&mut tx, &candidate.consumer, &candidate.parking_key).await?;
        let letter = match self.turn(&mut tx, candidate, &key).await? {
            Ok(letter) => letter,
            Err(Passed(why)) => return Ok((Outcome::Skipped, why)),
        };
        let (effects, event) = match self.repair.effects(&letter) {
            Ok(found) => found,
            Err(why) => return Ok((Outcome::Skipped, format!("it can only be discarded: {why}"))),
        };
        dead_letter::set_savepoint(&mut tx).await?;
        let tried = apply(&mut tx, &letter, effects, event).await;
        let (outcome, cause, told) = match tried {
            Ok(Some(told)) => (Outcome::Done, String::new(), told),
            Ok(None) => (Outcome::Again, "it has taken effect before".to_owned(), Told::nothing()),
            Err(failed) if failed.is_poison() => {
                (Outcome::Failed, format!("{:#}", anyhow::Error::new(failed)), Told::nothing())
            }
            Err(Failed::Postgres(failure)) => return Err(failure.into()),
            Err(failed) => return Err(Error::internal(failed)),
        };
        if self.order.dry_run {
            tx.rollback().await.map_err(Failure::from)?;
            return Ok(self.say(letter.id, outcome, cause));
        }
        self.keep(tx, &letter, outcome, &cause).await?;
        told.ring();
        Ok((outcome, cause))
    }

    /// Only the oldest of a key may go.
    async fn turn(&self, tx: &mut Tx, candidate: &Candidate, key: &[i64]) -> Result<Result<DeadLetter, Passed>, Error> {
        let earlier = key.iter().take_while(|id| **id < candidate.id).find(|id| !self.would.contains(id));
        if let Some(earlier) = earlier {
            let service = self.repair.service;
            return Ok(Err(Passed(format!("{service}-{earlier} of the same key comes first"))));
        }
        let letter = dead_letter::find(&mut **tx, candidate.id).await?;
        Ok(letter.ok_or_else(|| Passed("somebody else has replayed or discarded it".to_owned())))
    }

    /// What a dry run has learned.
    fn say(&mut self, id: i64, outcome: Outcome, cause: String) -> (Outcome, String) {
        match outcome {
            Outcome::Done | Outcome::Again => {
                self.would.insert(id);
                (Outcome::Would, cause)
            }
            Outcome::Failed | Outcome::Would | Outcome::Skipped => (outcome, cause),
        }
    }

    /// What has taken effect is parked no more, in the same transaction; what failed is taken back and counted.
    async fn keep(&self, mut tx: Tx, letter: &DeadLetter, outcome: Outcome, cause: &str) -> Result<(), Error> {
        let action = if outcome == Outcome::Failed {
            dead_letter::take_back(&mut tx).await?;
            dead_letter::note_failure(&mut tx, letter.id, cause, FAILURES).await?;
            "REPLAY FAILED"
        } else {
            dead_letter::remove(&mut tx, letter.id).await?;
            if outcome == Outcome::Done { "REPLAY DONE" } else { "REPLAY AGAIN" }
        };
        let why = if outcome == Outcome::Failed { cause } else { "" };
        let action = Action { operator: &self.order.operator, action, why, before: None, after: None };
        dead_letter::record(&mut tx, letter, &action).await?;
        commit(tx).await?;
        Ok(())
    }
}

/// As the consumer does it: the inbox decides whether it counts, then its effects. Answers what these have told; nothing where it
/// has taken effect before.
async fn apply(tx: &mut Tx, letter: &DeadLetter, effects: &dyn Apply, event: Event) -> Result<Option<Told>, Failed> {
    let reach = crate::postgres::inbox::hold_reach(tx).await?;
    if !reach.holds(event.time) {
        return Err(Unreadable::new("TOO_OLD or TIME_AHEAD: the inbox does not reach its time").into());
    }
    let first = inbox::first(inbox::arrive(tx, &letter.consumer, [event]).await?);
    if first.is_empty() {
        return Ok(None);
    }
    let told = effects.apply(tx, &first).await?;
    dead_letter::judge(tx).await?;
    Ok(Some(told))
}

fn count(consumer: String, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Again => "again",
        Outcome::Failed => "failed",
        Outcome::Would | Outcome::Skipped => "skipped",
    };
    metrics::counter!("booster_replayed_events_total", "consumer" => consumer, "outcome" => outcome).increment(1);
}
