//! The worker: takes up what is due, carries it out, many at once, and answers what has come back.

use std::time::Duration;

use bus::relay::journal::Bell;
use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kit::boot::{Process, Stage};
use kit::error::{Error, Refusal as _};
use kit::postgres::Pool;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::{Desk, lock};
use crate::coupon;
use crate::deal::Refusal;
use crate::postgres::errand::{self as rows, Errand};
use crate::redeem::Stores;
use crate::redis::Deals;
use crate::step::{Answer, Kind, Step};

/// Errands that a process carries out at once.
const AT_ONCE: usize = 512;
/// Fewer than this are not taken up while others are on their way: a few at a time would cost a transaction each.
const REFILL: usize = AT_ONCE / 4;
/// How long the worker waits for the bell before it looks by itself: another process may have died.
const LOOK: Duration = Duration::from_millis(250);
/// How long one may take.
const CALL: Duration = Duration::from_secs(2);
/// How long an errand that was taken up is left to whoever took it: longer than the call and the answer may take.
const LEASE: Duration = Duration::from_secs(15);
/// Pauses before an errand without an answer is taken up again: doubled from the first to the last, and jittered.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// Pause after PostgreSQL did not answer.
const AWAY: Duration = Duration::from_millis(500);
/// From so many attempts on somebody should look; how often that is said at most.
const STUCK: i32 = 10;
const STUCK_EVERY: Duration = Duration::from_secs(30);
/// Traces that the span of a transaction belongs to, at most.
const TRACES: usize = 32;

/// What the worker works with.
#[derive(Clone)]
pub struct Worker {
    /// Where errands are.
    pub pool: Pool,
    /// Where they are carried out.
    pub deals: Deals,
    /// Wakes the relay of the journals.
    pub bell: Bell,
    /// Where answers go out.
    pub desk: Desk,
    /// What an order is told.
    pub encode: fn(&Step, &Answer) -> Bytes,
}

/// Starts the worker. Several processes may have one.
pub fn spawn(process: &Process, worker: Worker) {
    process.spawn(Stage::Work, "errands", |told| async move {
        worker.run(&told).await;
        Ok(())
    });
}

/// An errand, and what became of it: the answer, or why there is none yet.
type Back = (Errand, Result<Answer, String>);

impl Worker {
    /// Works until told to stop; what is on its way then is answered.
    async fn run(&self, told: &CancellationToken) {
        let (mut calls, mut said) = (FuturesUnordered::new(), None::<Instant>);
        // Whether something may be due.
        let mut look = true;
        loop {
            let room = AT_ONCE - calls.len();
            if look && room >= REFILL && !told.is_cancelled() {
                let taken = self.take_up(room).await;
                look = taken.len() == room;
                calls.extend(taken.into_iter().map(|errand| self.carry_out(errand)));
            }
            if told.is_cancelled() && calls.is_empty() {
                return;
            }
            let mut back = Vec::new();
            tokio::select! {
                Some(first) = calls.next() => back.push(first),
                // Where there is more to take up than there is room for, a call has to come back first.
                () = self.desk.bell.notified(), if !look => look = true,
                () = tokio::time::sleep(LOOK), if !look => look = true,
                () = told.cancelled(), if !told.is_cancelled() => {}
            }
            while let Some(Some(next)) = calls.next().now_or_never() {
                back.push(next);
            }
            if !back.is_empty() {
                say_stuck(&back, &mut said);
                self.settle(back).await;
            }
        }
    }

    /// What is due, and is left to this process from now on for a while.
    async fn take_up(&self, most: usize) -> Vec<Errand> {
        match rows::take_up(&self.pool, i64::try_from(most).unwrap_or(i64::MAX), LEASE).await {
            Ok(errands) => errands,
            Err(failure) => {
                wait("errands cannot be taken up now", failure.into()).await;
                Vec::new()
            }
        }
    }

    /// One errand, in the trace of its order.
    async fn carry_out(&self, errand: Errand) -> Back {
        let span = tracing::debug_span!("errand", order = %errand.step.order_id, kind = %errand.step.kind);
        errand.traceparent.iter().for_each(|traceparent| kit::telemetry::continue_trace(&span, traceparent));
        let done = timeout(CALL, self.try_out(&errand)).instrument(span).await;
        let came = done.unwrap_or_else(|_| Err(format!("no answer within {} s", CALL.as_secs())));
        (errand, came)
    }

    async fn try_out(&self, errand: &Errand) -> Result<Answer, String> {
        let Step { order_id, kind, coupon_id, user_id } = &errand.step;
        let stores = Stores { pool: &self.pool, deals: &self.deals, bell: &self.bell };
        match (kind, coupon::parse_id(coupon_id)) {
            // Whoever was to be undone comes to nothing; where it has already happened, the UNDO takes it back.
            (Kind::Do, _) if errand.other.is_some() => Ok(refused(&Refusal::CouponOtherOrder)),
            (Kind::Do, Err(_)) => Ok(refused(&Refusal::CouponNotFound)),
            (Kind::Undo, Err(_)) => Ok(Answer::Undone),
            (Kind::Do, Ok(name)) => match stores.redeem(name, user_id.clone(), order_id.clone()).await {
                Ok(coupon) => Ok(Answer::Redeemed(Box::new(coupon))),
                Err(Error::Refused(refusal)) if refusal != Refusal::Frozen => Ok(refused(&refusal)),
                Err(error) => Err(error.chain()),
            },
            (Kind::Undo, Ok(name)) => match stores.take_back(name, order_id.clone()).await {
                Ok(_) | Err(Error::Refused(Refusal::CouponOtherOrder)) => Ok(Answer::Undone),
                // No mark stands where there is no such coupon: a DO that is on its way has to end first.
                Err(Error::Refused(Refusal::CouponNotFound)) if errand.other != Some(false) => Ok(Answer::Undone),
                Err(error) => Err(error.chain()),
            },
        }
    }

    /// Stores what has come back, and tells it. What cannot be stored is due again when its time is up.
    async fn settle(&self, back: Vec<Back>) {
        let span = trace(&back);
        if let Err(error) = self.store(back).instrument(span).await {
            wait("answers cannot be stored now", error).await;
        }
    }

    /// One transaction: answers, the events that tell of them, and when the others are due again.
    async fn store(&self, back: Vec<Back>) -> Result<(), Error<Refusal>> {
        let mut change = self.desk.outbox.begin(&self.pool).await?;
        let known = lock(&mut change, back.iter().map(|(errand, _)| &errand.step.order_id)).await?;
        let (mut answers, mut again) = (Vec::new(), Vec::new());
        for (errand, came) in back {
            // Somebody else may have answered where this process was paused for long: one of them is the answer.
            if known.row(&errand.step).is_none_or(|row| row.answer.is_some()) {
                continue;
            }
            count(&errand, &came);
            match came {
                Ok(answer) => {
                    let payload = (self.encode)(&errand.step, &answer);
                    answers.push((errand.step, payload));
                }
                Err(_) => again.push(errand.step),
            }
        }
        rows::answer(&mut change, &answers).await?;
        rows::put_off(&mut change, &again, PAUSES).await?;
        Ok(change.commit(&known.events(&answers)).await?)
    }
}

fn refused(refusal: &Refusal) -> Answer {
    Answer::Refused(refusal.reason())
}

async fn wait(what: &'static str, error: Error<Refusal>) {
    tracing::warn!(cause = error.chain(), "{what}");
    tokio::time::sleep(AWAY).await;
}

fn count(errand: &Errand, came: &Result<Answer, String>) {
    let outcome = match came {
        Ok(Answer::Redeemed(_) | Answer::Undone) => "done",
        Ok(Answer::Refused(_)) => "refused",
        Err(_) if errand.attempts < STUCK => "again",
        Err(_) => "stuck",
    };
    let kind = errand.step.kind.as_str();
    metrics::counter!("booster_errands_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// Orders wait for an answer as long as it takes; but somebody should look.
fn say_stuck(back: &[Back], said: &mut Option<Instant>) {
    let mut stuck = back.iter().filter_map(|(errand, came)| {
        let cause = came.as_ref().err()?;
        (errand.attempts >= STUCK).then_some((&errand.step, errand.attempts, cause))
    });
    if said.is_some_and(|said| said.elapsed() < STUCK_EVERY) {
        return;
    }
    if let Some((step, attempts, cause)) = stuck.next() {
        *said = Some(Instant::now());
        let (order, kind, coupon, others) = (&step.order_id, step.kind, &step.coupon_id, stuck.count());
        tracing::error!(%order, %kind, coupon, attempts, cause, others, "an order waits for its coupon, and it is tried in vain");
    }
}

/// A span of the transaction: it goes on with the trace of the first errand that has one, and is linked to those of the others.
fn trace(back: &[Back]) -> Span {
    let span = tracing::debug_span!("answer", errands = back.len());
    let traces = back.iter().filter_map(|(errand, _)| errand.traceparent.as_deref());
    for (index, traceparent) in traces.take(TRACES).enumerate() {
        if index == 0 {
            kit::telemetry::continue_trace(&span, traceparent);
        } else {
            kit::telemetry::link_trace(&span, traceparent);
        }
    }
    span
}
