//! How far the steps of one order have come.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What an order needs of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Stock, of order itself.
    Stock,
    /// The coupon, of promotion.
    Coupon,
    /// The hold, of reservation.
    Hold,
    /// The points, of point.
    Points,
    /// The charge, of payment.
    Payment,
}

/// Which way a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The step itself.
    Do,
    /// What takes it back.
    Undo,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Asked for, and not answered.
    Asked,
    /// Done.
    Done,
    /// Refused: it had no effect.
    Refused,
    /// Given up before it was answered.
    Abandoned,
}

/// One step, or its undo, from the first asking on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which.
    pub step: Step,
    /// Which way.
    pub kind: Kind,
    /// How far.
    pub status: Status,
    /// How often it was asked for.
    pub attempts: i32,
    /// Why it was refused or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When it was first asked for, in milliseconds since 1970.
    pub asked_ms: i64,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
}

/// The steps of one order that were ever asked for, in the order of the first asking: one for each step and way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Saga(Vec<Progress>);

impl Saga {
    /// All of them.
    #[must_use]
    pub fn steps(&self) -> &[Progress] {
        &self.0
    }

    /// How far a step has come; nothing where it was never asked for.
    #[must_use]
    pub fn status(&self, step: Step, kind: Kind) -> Option<Status> {
        self.find(step, kind).map(|progress| progress.status)
    }

    /// When it was first asked for.
    #[must_use]
    pub fn asked_at(&self, step: Step, kind: Kind) -> Option<OffsetDateTime> {
        self.find(step, kind).map(Progress::asked_at)
    }

    /// Those that somebody has to answer.
    #[must_use]
    pub fn asked(&self) -> Vec<Progress> {
        self.0.iter().filter(|progress| progress.status == Status::Asked).cloned().collect()
    }

    /// It is asked for, perhaps once more. For the how-many-eth time.
    pub(super) fn ask(&mut self, step: Step, kind: Kind, now: OffsetDateTime) -> i32 {
        if let Some(progress) = self.find_mut(step, kind) {
            progress.status = Status::Asked;
            progress.attempts = progress.attempts.saturating_add(1);
            return progress.attempts;
        }
        self.push(step, kind, Status::Asked, now);
        1
    }

    /// It was done without asking anybody.
    pub(super) fn note(&mut self, step: Step, kind: Kind, now: OffsetDateTime) {
        if self.find(step, kind).is_none() {
            self.push(step, kind, Status::Done, now);
            self.end(step, kind, Status::Done, None, now);
        }
    }

    /// It was answered. Whether this is the first answer.
    pub(super) fn end(
        &mut self,
        step: Step,
        kind: Kind,
        status: Status,
        cause: Option<String>,
        now: OffsetDateTime,
    ) -> bool {
        let Some(progress) = self.find_mut(step, kind) else { return false };
        let is_first = match progress.status {
            Status::Asked | Status::Abandoned => true,
            Status::Done | Status::Refused => progress.ended_ms.is_none(),
        };
        if is_first {
            progress.status = status;
            progress.cause = cause.or_else(|| progress.cause.take());
            progress.ended_ms = Some(kit::clock::to_millis(now));
        }
        is_first
    }

    /// What was not answered is not waited for any more.
    pub(super) fn abandon(&mut self, cause: &str) {
        for progress in self.0.iter_mut().filter(|progress| progress.status == Status::Asked) {
            progress.status = Status::Abandoned;
            progress.cause = Some(cause.to_owned());
        }
    }

    fn push(&mut self, step: Step, kind: Kind, status: Status, now: OffsetDateTime) {
        let asked_ms = kit::clock::to_millis(now);
        self.0.push(Progress { step, kind, status, attempts: 1, cause: None, asked_ms, ended_ms: None });
    }

    fn find(&self, step: Step, kind: Kind) -> Option<&Progress> {
        self.0.iter().find(|progress| (progress.step, progress.kind) == (step, kind))
    }

    fn find_mut(&mut self, step: Step, kind: Kind) -> Option<&mut Progress> {
        self.0.iter_mut().find(|progress| (progress.step, progress.kind) == (step, kind))
    }
}

impl Progress {
    /// When it was first asked for.
    #[must_use]
    pub fn asked_at(&self) -> OffsetDateTime {
        kit::clock::from_millis(self.asked_ms)
    }

    /// When it was answered.
    #[must_use]
    pub fn ended_at(&self) -> Option<OffsetDateTime> {
        self.ended_ms.map(kit::clock::from_millis)
    }
}
