//! A payment: what one order is charged at the provider, and what became of it.

mod case;
mod refusal;

pub use case::{Call, Case, Command, Due, Heard, Told};
pub use refusal::Refusal;

use kit::error::Invalid;
use kit::money::Money;
use time::OffsetDateTime;

kit::id!(
    /// Names a payment. Later ones sort after earlier ones.
    PaymentId, "payment_id", 64
);
kit::id!(
    /// Names an order. It is the key of its charge at the provider, too.
    OrderId, "order_id", 64
);
kit::id!(
    /// Names a user.
    UserId, "user_id", 64
);

/// The longest name of a method, in bytes.
pub const METHOD_LONGEST: usize = 64;

/// What one order is charged, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its name.
    pub payment_id: PaymentId,
    /// The order, of which there is one payment.
    pub order_id: OrderId,
    /// Whose order it is.
    pub user_id: UserId,
    /// What is charged; more than nothing.
    pub amount: Money,
    /// How it is charged, as the provider knows it.
    pub method: String,
    /// Where it stands.
    pub state: State,
    /// The provider's own name of the charge, once there is one.
    pub provider_reference: Option<String>,
    /// Counts the changes that others can see.
    pub version: i64,
    /// When the order first asked.
    pub created_at: OffsetDateTime,
}

/// Where a payment stands. The order is that of how much is known: a payment only ever moves on in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The provider has not given a final answer yet.
    Pending,
    /// The provider said no.
    Declined,
    /// Undone before it was charged: the provider never will.
    Voided,
    /// Charged.
    Charged,
    /// Charged, and given back.
    Refunded,
}

/// Which way a step of an order is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The step itself: charge.
    Do,
    /// What takes it back: the order is never charged, or gets its money back.
    Undo,
}

/// What an order was told when it asked for the charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It is charged.
    Done,
    /// The provider said no.
    Declined,
    /// The order has wanted it undone meanwhile, or before.
    Undone,
}

/// What an order asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// What is to be charged.
    pub amount: Money,
    /// How.
    pub method: String,
    /// Whether to charge, or to undo.
    pub kind: Kind,
}

/// What the provider says of a key, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is charged, under this name.
    Charged(String),
    /// It is not, and never will be: whoever pays cannot, or may not.
    Declined,
    /// It is not, and never will be: we have said so.
    Voided,
    /// It was charged under this name, and given back.
    Refunded(String),
}

impl Payment {
    /// How much was given back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        if self.state == State::Refunded { self.amount.minor_units } else { 0 }
    }
}

impl State {
    /// How much is known: a state is only ever followed by one that says more.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Declined | Self::Voided => 1,
            Self::Charged => 2,
            Self::Refunded => 3,
        }
    }

    /// As PostgreSQL keeps it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Declined => "DECLINED",
            Self::Voided => "VOIDED",
            Self::Charged => "CHARGED",
            Self::Refunded => "REFUNDED",
        }
    }

    /// Reads what [`State::as_str`] says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Declined, Self::Voided, Self::Charged, Self::Refunded];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

impl Kind {
    /// What an order wants then, as PostgreSQL keeps it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Do => "CHARGE",
            Self::Undo => "UNDO",
        }
    }

    /// Reads what [`Kind::as_str`] says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Do, Self::Undo].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Reply {
    /// Why it was not done, as the order is told and as PostgreSQL keeps it; `DONE` where it was.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::Declined => "PAYMENT_DECLINED",
            Self::Undone => "ORDER_UNDONE",
        }
    }

    /// Reads what [`Reply::as_str`] says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Done, Self::Declined, Self::Undone].into_iter().find(|reply| reply.as_str() == text)
    }
}

impl Asked {
    /// Whether this can be asked at all.
    ///
    /// # Errors
    /// Names the field that is not as it should be.
    pub fn check(&self) -> Result<(), Invalid> {
        self.amount.check("amount", 1)?;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b':' | b'_' | b'-');
        if self.method.is_empty() || self.method.len() > METHOD_LONGEST || !self.method.bytes().all(fits) {
            let why = format!("is not 1 to {METHOD_LONGEST} of a-z, 0-9, :, _ and -");
            return Err(Invalid::new("payment_method", why));
        }
        Ok(())
    }
}

impl Said {
    /// Where a payment stands of which this was said.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Charged(_) => State::Charged,
            Self::Declined => State::Declined,
            Self::Voided => State::Voided,
            Self::Refunded(_) => State::Refunded,
        }
    }

    /// The provider's name of the charge, if there was one.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Charged(reference) | Self::Refunded(reference) => Some(reference),
            Self::Declined | Self::Voided => None,
        }
    }
}

#[cfg(test)]
mod tests;
