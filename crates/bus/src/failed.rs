//! Why an event has no effect yet.

use kit::postgres::Failure;

use crate::event::Unreadable;

/// Why effects could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// One of the events is not what it says it is: it would fail again.
    #[error("an event cannot be read")]
    Unreadable(#[from] Unreadable),
    /// PostgreSQL refused, or is away.
    #[error("its effect could not be written")]
    Postgres(#[from] Failure),
    /// So many events are parked that an operator has to look before more are.
    #[error("{0} events are parked, which is the limit: nothing more is consumed until an operator has looked")]
    TooManyParked(i64),
    /// So much waits for Kafka that nothing is begun that would have to tell of itself.
    #[error("the outbox is full: nothing that would tell of itself is consumed until Kafka has taken some of it")]
    OutboxFull,
}

impl Failed {
    /// Whether the same events would fail again, however often they are tried.
    pub(crate) fn is_poison(&self) -> bool {
        match self {
            Self::Unreadable(_) => true,
            Self::Postgres(failure) => failure.is_bad_row(),
            Self::TooManyParked(_) | Self::OutboxFull => false,
        }
    }
}
