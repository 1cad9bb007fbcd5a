//! A payment that is being settled: what the order wants, what the provider has said, and who is owed an answer. Pure.

use std::time::Duration;

use kit::money::Money;

use super::{Asked, Kind, OrderId, Payment, Reply, Said, State};

/// A payment, and all that is needed to settle it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What others see of it.
    pub payment: Payment,
    /// What the order wants. Once it is [`Kind::Undo`], it stays that.
    pub wanted: Kind,
    /// What the order is told whenever it asks for the charge: once it was told, the same for ever.
    pub reply: Option<Reply>,
    /// Whether the order has asked for the charge, and has not been answered.
    pub owes_do: bool,
    /// Whether the order has asked for the undo, and has not been answered.
    pub owes_undo: bool,
    /// Calls in a row that have brought no answer, of what is wanted now.
    pub attempts: i32,
    /// When the provider may be asked next.
    pub due: Due,
}

/// When the provider may be asked next about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Never again: all is settled.
    Settled,
    /// As it was.
    Kept,
    /// So long after it was written down.
    In(Duration),
}

/// What is to be asked of the provider next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Charge.
    Charge,
    /// Never charge any more.
    Void,
    /// Give back what was charged.
    Refund,
}

/// A call to the provider that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The order, which is the key at the provider.
    pub order_id: OrderId,
    /// What the provider is to do.
    pub command: Command,
    /// How much it is about.
    pub amount: Money,
    /// How it is charged.
    pub method: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A final answer.
    Said(Said),
    /// None: nobody knows what came of it, and this is why.
    Nothing(String),
    /// It was not made: the provider is left alone for now.
    NotNow,
}

/// What has to be told of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is not what it was.
    Changed(Payment),
    /// This is the answer to what its order has asked; without a reply the undo is done.
    Answered(Payment, Kind, Option<Reply>),
}

impl Command {
    /// As it is told in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

impl Case {
    /// Whether the provider has nothing more to be asked.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.command().is_none()
    }

    /// What is to be asked of the provider next.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        match (self.payment.state, self.wanted) {
            (State::Pending, Kind::Do) => Some(Command::Charge),
            (State::Pending, Kind::Undo) => Some(Command::Void),
            (State::Charged, Kind::Undo) => Some(Command::Refund),
            (State::Charged, Kind::Do) | (State::Declined | State::Voided | State::Refunded, _) => None,
        }
    }

    /// Whether this is asked of the same charge. Once it is undone, nobody cares what it would have been.
    #[must_use]
    pub fn agrees(&self, asked: &Asked) -> bool {
        let payment = &self.payment;
        let same =
            (&payment.amount, &payment.method, &payment.user_id) == (&asked.amount, &asked.method, &asked.user_id);
        same || self.wanted == Kind::Undo || asked.kind == Kind::Undo
    }

    /// The order asks, for the first time or again. What is settled is answered at once, everything else when it is.
    #[must_use]
    pub fn ask(&mut self, kind: Kind) -> Option<Told> {
        if kind == Kind::Undo && self.wanted == Kind::Do {
            self.wanted = Kind::Undo;
            self.attempts = 0;
            if !self.is_settled() {
                self.due = Due::In(Duration::ZERO);
            }
        }
        match kind {
            Kind::Do => self.owes_do = true,
            Kind::Undo => self.owes_undo = true,
        }
        self.is_settled().then(|| self.pay(kind))
    }

    /// The provider has given a final answer to some call, whenever that was made. What has to be told, if it says anything new.
    /// An answer that leaves everything as it was, although something is wanted, is none: `pause` is how long to wait then.
    #[must_use]
    pub fn hear(&mut self, said: &Said, pause: impl FnOnce(i32) -> Duration) -> Vec<Told> {
        if said.state().rank() <= self.payment.state.rank() {
            if !self.is_settled() {
                self.miss(pause);
            }
            return Vec::new();
        }
        // What it has said before it cannot take back: the order was told that it is not charged, and so it will not be.
        let is_dead = matches!(self.payment.state, State::Declined | State::Voided);
        self.payment.state = said.state();
        self.payment.provider_reference = said.reference().map(str::to_owned);
        self.payment.version += 1;
        self.attempts = 0;
        if is_dead || matches!(self.payment.state, State::Voided | State::Refunded) {
            self.wanted = Kind::Undo;
        }
        let mut told = vec![Told::Changed(self.payment.clone())];
        if self.is_settled() {
            self.due = Due::Settled;
            told.extend(self.owes_do.then(|| self.pay(Kind::Do)));
            told.extend(self.owes_undo.then(|| self.pay(Kind::Undo)));
            self.reply.get_or_insert(reply(self.payment.state));
        } else {
            self.due = Due::In(Duration::ZERO);
        }
        told
    }

    /// A call has brought no answer: nobody knows what came of it. It is repeated after `pause`, which is told how many went before.
    pub fn miss(&mut self, pause: impl FnOnce(i32) -> Duration) {
        self.attempts = self.attempts.saturating_add(1);
        self.due = Due::In(pause(self.attempts));
    }

    /// Nothing was asked, because nothing may be asked now.
    pub fn postpone(&mut self, pause: Duration) {
        self.due = Due::In(pause);
    }

    /// The answer to what was asked, of a payment that is settled.
    fn pay(&mut self, kind: Kind) -> Told {
        let said = *self.reply.get_or_insert(reply(self.payment.state));
        match kind {
            Kind::Do => {
                self.owes_do = false;
                Told::Answered(self.payment.clone(), Kind::Do, Some(said))
            }
            Kind::Undo => {
                self.owes_undo = false;
                Told::Answered(self.payment.clone(), Kind::Undo, None)
            }
        }
    }
}

/// What an order is told that asks for the charge of a payment that was settled like this before it was ever told anything.
fn reply(state: State) -> Reply {
    match state {
        State::Charged => Reply::Done,
        State::Declined => Reply::Declined,
        State::Pending | State::Voided | State::Refunded => Reply::Undone,
    }
}
