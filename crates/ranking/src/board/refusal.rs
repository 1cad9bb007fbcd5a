//! Every "no" of this service.

use kit::error::{Code, Error};

/// Every "no" of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The item is not on the board.
    RankNotFound,
}

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "ranking.booster";

    fn code(&self) -> Code {
        match self {
            Self::RankNotFound => Code::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::RankNotFound => "RANK_NOT_FOUND",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::RankNotFound => "the item is not on this board".to_owned(),
        }
    }
}

/// What many have waited for together has failed: each is told the same.
#[must_use]
pub fn told(error: &Error<Refusal>) -> Error<Refusal> {
    match error {
        Error::Refused(refusal) => Error::Refused(*refusal),
        Error::Invalid(invalid) => Error::Invalid(invalid.clone()),
        Error::RequestIdReused => Error::RequestIdReused,
        Error::Overloaded { retry_after } => Error::Overloaded { retry_after: *retry_after },
        Error::Unavailable(fault) => Error::unavailable(anyhow::anyhow!(fault.chain())),
        Error::Internal(fault) => Error::internal(anyhow::anyhow!(fault.chain())),
    }
}
