//! What a caller gets who does not get what he asked for: a *refusal*, which is an answer ("no, because ..."), or a
//! *fault*, which is a failure ("something broke"). There is one mapping to gRPC, `error/status.rs`, for every service.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

mod status;
mod throttle;

pub(crate) use status::{field, internal, overloaded, unavailable};

/// A gRPC status code.
pub type Code = tonic::Code;

/// Reason of a request with a field that is not as it should be.
pub const INVALID_FIELD: &str = "INVALID_FIELD";
/// Reason of a request whose id was used before, for something else.
pub const REQUEST_ID_REUSED: &str = "REQUEST_ID_REUSED";
/// Reason of a request that was turned away for lack of room: nothing happened.
pub const OVERLOADED: &str = "OVERLOADED";
/// Reason of a request whose outcome is unknown: ask, or repeat it.
pub const BACKEND_UNAVAILABLE: &str = "BACKEND_UNAVAILABLE";
/// Reason of a request that met a defect of ours.
pub const INTERNAL: &str = "INTERNAL";

const REUSED_WORDS: &str = "request_id was used before, with another content";
const OVERLOADED_WORDS: &str = "too busy; nothing happened, come back later";
const UNAVAILABLE_WORDS: &str = "a backend is unavailable; the outcome is unknown";
const INTERNAL_WORDS: &str = "an internal error";

/// An answer that is a "no". A service has one closed enum of them, and a client can act on each.
pub trait Refusal: fmt::Debug + Send + Sync + 'static {
    /// Who refuses, as in `promotion.booster`.
    const DOMAIN: &'static str;

    /// The kind of "no", for clients that know nothing else.
    fn code(&self) -> Code;
    /// The one word for it, as in `SOLD_OUT`: what clients branch on.
    fn reason(&self) -> &'static str;
    /// One sentence for the person who reads it; nothing of the inside.
    fn message(&self) -> String;
    /// After how long the same request may be answered otherwise, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
    /// Further facts that a client can act on.
    fn metadata(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// One field, or one flag, that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its path in the request, as in `deal.opens_at`, or the flag.
    pub field: Cow<'static, str>,
    /// What is wrong with it, continuing a sentence that begins with the field: "is empty".
    pub description: String,
}

impl Invalid {
    /// `field` is as `description` says.
    pub fn new(field: impl Into<Cow<'static, str>>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.description)
    }
}

impl std::error::Error for Invalid {}

/// Something that broke: a chain of causes for the log, nothing of which reaches a client.
#[derive(Debug)]
pub struct Fault(anyhow::Error);

impl Fault {
    /// A fault that has no cause but itself.
    #[must_use]
    pub fn new(what: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self(anyhow::Error::msg(what))
    }

    /// What a task said as it panicked.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(anyhow::anyhow!("panicked: {}", text.as_deref().unwrap_or("without a word")))
    }

    /// The same fault, told from one step further out: "reading the deal".
    #[must_use]
    pub fn context(self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self(self.0.context(what))
    }

    /// The whole chain in one line, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        format!("{:#}", self.0)
    }
}

impl From<anyhow::Error> for Fault {
    fn from(cause: anyhow::Error) -> Self {
        Self(cause)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Why a call did not give what was asked for. `R` are the refusals of the service.
#[derive(Debug)]
pub enum Error<R> {
    /// The answer is no.
    Refused(R),
    /// The request is not one that could be answered.
    Invalid(Invalid),
    /// The request's id was used before, with another content.
    RequestIdReused,
    /// Turned away before anything happened.
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// Something the answer depends on is away, or the time is up: it may have happened, or not.
    Unavailable(Fault),
    /// A defect of ours.
    Internal(Fault),
}

impl<R> Error<R> {
    /// The outcome is unknown, because of `cause`.
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self::Unavailable(Fault(cause.into()))
    }

    /// A defect of ours: `cause`.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(Fault(cause.into()))
    }
}

impl<R: Refusal> Error<R> {
    /// What happened and why, in one line, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}

impl<R: Refusal> From<R> for Error<R> {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}

impl<R> From<Invalid> for Error<R> {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl<R: Refusal> fmt::Display for Error<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(&refusal.message()),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::RequestIdReused => f.write_str(REUSED_WORDS),
            Self::Overloaded { .. } => f.write_str(OVERLOADED_WORDS),
            Self::Unavailable(_) => f.write_str(UNAVAILABLE_WORDS),
            Self::Internal(_) => f.write_str(INTERNAL_WORDS),
        }
    }
}

impl<R: Refusal> std::error::Error for Error<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(fault) | Self::Internal(fault) => Some(fault),
            Self::Refused(_) | Self::Invalid(_) | Self::RequestIdReused | Self::Overloaded { .. } => None,
        }
    }
}
