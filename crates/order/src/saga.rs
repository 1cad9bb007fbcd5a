//! The saga: a pure function of an order and what has happened, to the order after it and what is to be said.
//!
//! One step is asked for at a time. What was refused had no effect; everything else that was asked for is undone, in reverse, also what
//! was never answered: its undo settles it. Answers may be late, repeated, lost, and in any order.

mod progress;
#[cfg(test)]
mod tests;

use std::time::Duration;

use time::OffsetDateTime;

use crate::discount::Offer;
use crate::order::{Order, Reason, State};
pub use progress::{Kind, Progress, Saga, Status, Step};

/// A participant's step, with what makes it needed and what it means that it does not come about.
struct Action {
    step: Step,
    is_needed: fn(&Order) -> bool,
    /// Why an order is undone whose step was refused.
    refused: Reason,
    /// Why it is undone where the participant gave no answer in time.
    silent: Reason,
}

/// The steps in the order in which they are done; they are undone in reverse. Stock is not among them: it is taken in the transaction that
/// stores the order, and given back in the one that ends it undone. Payment is the pivot: once it is done, an order only goes forward,
/// and a cancellation is a second saga.
///
/// | step | do | undo |
/// |---|---|---|
/// | coupon | redeemed; the answer says what it is worth | restored |
/// | hold | becomes a booking | released |
/// | points | deducted | refunded |
/// | payment | charged | voided, or refunded |
const ACTIONS: [Action; 4] = [
    Action {
        step: Step::Coupon,
        is_needed: |order| order.coupon_id.is_some(),
        refused: Reason::CouponUnusable,
        silent: Reason::CouponUnusable,
    },
    Action {
        step: Step::Hold,
        is_needed: |order| order.hold_id.is_some(),
        refused: Reason::HoldLost,
        silent: Reason::HoldLost,
    },
    Action {
        step: Step::Points,
        is_needed: |order| order.points > 0,
        refused: Reason::InsufficientPoints,
        silent: Reason::InsufficientPoints,
    },
    Action {
        step: Step::Payment,
        is_needed: |order| order.charge() > 0,
        refused: Reason::PaymentDeclined,
        silent: Reason::PaymentUnsettled,
    },
];

/// What has happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was stored, and its stock taken.
    Placed,
    /// A step was done. Of a coupon with what it is worth.
    Done(Step, Option<Offer>),
    /// A step was refused, for this cause.
    Refused(Step, String),
    /// A step was undone.
    Undone(Step),
    /// The user wants it undone.
    Cancel,
    /// A paid order moves on.
    Advance(State),
    /// What was asked for was not answered for long.
    Due,
}

/// What is to be said to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// It was placed.
    Placed,
    /// A participant is asked for a step, or its undo, for the nth time.
    Ask(Step, Kind, i32),
    /// All steps are done.
    Paid,
    /// A paid order has moved on.
    Advanced,
    /// It ended undone, by its user. Its stock is given back.
    Cancelled,
    /// It ended undone, for a step that was refused. Its stock is given back.
    Failed,
}

/// How long participants are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the first asking on, until a step is given up; an undo never is.
    pub deadline: Duration,
    /// Until a participant is asked again; twice as long each time after that.
    pub again: Duration,
}

/// How long it is at most until a participant is asked again.
const AGAIN_MOST: Duration = Duration::from_secs(300);

/// What becomes of the order by an event, and what is to be said of it. Without anything to say, and with the same version, where the
/// event changes nothing.
#[must_use]
pub fn next(order: Order, event: Event, now: OffsetDateTime, patience: Patience) -> (Order, Vec<Say>) {
    let mut turn = Turn { order, now, patience, says: Vec::new(), changed: false };
    match event {
        Event::Placed => turn.place(),
        Event::Done(step, offer) => turn.done(step, offer),
        Event::Refused(step, cause) => turn.refused(step, cause),
        Event::Undone(step) => turn.undone(step),
        Event::Cancel if turn.order.state.is_cancellable() => turn.give_up(Reason::CancelledByUser),
        Event::Advance(state)
            if turn.order.is_sale() && state.is_sale() && turn.order.state.next().contains(&state) =>
        {
            turn.advance(state);
        }
        Event::Cancel | Event::Advance(_) => {}
        Event::Due => turn.due(),
    }
    turn.end()
}

struct Turn {
    order: Order,
    now: OffsetDateTime,
    patience: Patience,
    says: Vec<Say>,
    changed: bool,
}

impl Turn {
    fn place(&mut self) {
        self.order.saga.note(Step::Stock, Kind::Do, self.now);
        self.says.push(Say::Placed);
        self.cap_points();
        self.forward();
    }

    fn done(&mut self, step: Step, offer: Option<Offer>) {
        if !self.end_do(step, Status::Done, None) {
            return;
        }
        if self.order.state != State::Pending {
            self.undo_late(step);
        } else if step == Step::Coupon && !self.take_off(offer) {
            self.give_up(Reason::CouponUnusable);
        } else {
            self.forward();
        }
    }

    fn refused(&mut self, step: Step, cause: String) {
        let is_first = self.end_do(step, Status::Refused, Some(cause));
        let action = ACTIONS.iter().find(|action| action.step == step);
        if let Some(action) = action.filter(|_| is_first && self.order.state == State::Pending) {
            self.give_up(action.refused);
        }
    }

    fn undone(&mut self, step: Step) {
        self.changed |= self.order.saga.end(step, Kind::Undo, Status::Done, None, self.now);
        if self.changed && self.order.state == State::Cancelling {
            self.unwind();
        }
    }

    fn advance(&mut self, state: State) {
        self.order.state = state;
        self.changed = true;
        self.says.push(Say::Advanced);
    }

    /// Whoever has not answered is asked again; a step whose time is over is given up.
    fn due(&mut self) {
        for waiting in self.order.saga.asked() {
            let is_over = self.now - waiting.asked_at() >= self.patience.deadline;
            let action = ACTIONS.iter().find(|action| action.step == waiting.step);
            match (waiting.kind, action) {
                (Kind::Do, Some(action)) if is_over => self.give_up(action.silent),
                (Kind::Do | Kind::Undo, _) => self.ask(waiting.step, waiting.kind),
            }
        }
    }

    /// The first answer to a step counts, also where nobody waits for it any more. Whether this was it.
    fn end_do(&mut self, step: Step, status: Status, cause: Option<String>) -> bool {
        let is_first = self.order.saga.end(step, Kind::Do, status, cause, self.now);
        self.changed |= is_first;
        is_first
    }

    /// What the coupon takes off is fixed, and with it the total. Whether it is for such an order.
    fn take_off(&mut self, offer: Option<Offer>) -> bool {
        let Some(discount) = offer.and_then(|offer| offer.of(&self.order.subtotal)) else { return false };
        self.order.discount = discount;
        self.cap_points();
        true
    }

    fn cap_points(&mut self) {
        if self.order.coupon_id.is_none() || self.order.saga.status(Step::Coupon, Kind::Do) == Some(Status::Done) {
            self.order.points = self.order.points.min(self.order.total());
        }
    }

    /// Asks for the next step; without one the order is paid.
    fn forward(&mut self) {
        for action in ACTIONS.iter().filter(|action| (action.is_needed)(&self.order)) {
            match self.order.saga.status(action.step, Kind::Do) {
                None => return self.ask(action.step, Kind::Do),
                Some(Status::Done) => {}
                Some(Status::Asked | Status::Refused | Status::Abandoned) => return,
            }
        }
        self.order.state = State::Paid;
        self.order.paid_at = Some(self.now);
        self.changed = true;
        self.says.push(Say::Paid);
    }

    /// From here on the order is undone.
    fn give_up(&mut self, reason: Reason) {
        self.order.state = State::Cancelling;
        self.order.reason = Some(reason);
        self.order.saga.abandon(reason.as_str());
        self.unwind();
    }

    /// Asks for the undo of the last step that was, or may have been, done; without one the order is over.
    fn unwind(&mut self) {
        self.changed = true;
        for action in ACTIONS.iter().rev() {
            let may_be_done =
                matches!(self.order.saga.status(action.step, Kind::Do), Some(Status::Done | Status::Abandoned));
            match self.order.saga.status(action.step, Kind::Undo) {
                None if may_be_done => return self.ask(action.step, Kind::Undo),
                Some(Status::Asked) => return,
                None | Some(Status::Done | Status::Refused | Status::Abandoned) => {}
            }
        }
        let reason = self.order.reason.unwrap_or(Reason::CancelledByUser);
        self.order.saga.note(Step::Stock, Kind::Undo, self.now);
        self.order.state = reason.end();
        self.says.push(if self.order.state == State::Cancelled { Say::Cancelled } else { Say::Failed });
    }

    /// A step that was given up is done after all, perhaps after its undo: then it is undone once more, whatever the order's end.
    fn undo_late(&mut self, step: Step) {
        if self.order.saga.status(step, Kind::Undo) == Some(Status::Done) {
            self.ask(step, Kind::Undo);
        }
    }

    fn ask(&mut self, step: Step, kind: Kind) {
        let attempt = self.order.saga.ask(step, kind, self.now);
        let pause = again(self.patience.again, attempt);
        let mut due = self.now + pause;
        if let (Kind::Do, Some(first)) = (kind, self.order.saga.asked_at(step, kind)) {
            due = due.min(first + self.patience.deadline);
        }
        self.order.due_at = Some(due);
        self.changed = true;
        self.says.push(Say::Ask(step, kind, attempt));
    }

    fn end(mut self) -> (Order, Vec<Say>) {
        if self.changed {
            self.order.version += 1;
        }
        if self.order.saga.asked().is_empty() {
            self.order.due_at = None;
        }
        (self.order, self.says)
    }
}

/// The pause after the nth asking.
fn again(first: Duration, attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or_default().min(16);
    first.saturating_mul(1 << doublings).min(AGAIN_MOST.max(first))
}
