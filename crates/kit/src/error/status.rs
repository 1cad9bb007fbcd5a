//! From an error to what the client sees, and to what the log and the metrics say. A fault is logged here, once, with
//! its whole chain of causes; the client gets a trace id by which to find that line, and nothing of the inside.

use super::throttle::Throttle;
use super::{BACKEND_UNAVAILABLE, INTERNAL, INVALID_FIELD, OVERLOADED, REQUEST_ID_REUSED};
use super::{Code, Error, Fault, Invalid, Refusal};
use opentelemetry::trace::TraceContextExt;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// When to come back if a backend is away: about as long as one takes that restarts in place.
const BACKEND_RETRY: Duration = Duration::from_secs(1);

/// Lines a second about backends that are away: all of them say the same.
static UNAVAILABLE_LINES: Throttle = Throttle::new(1);
/// Lines a second about defects: each may be another one, but a loop of them must not fill a disk.
static INTERNAL_LINES: Throttle = Throttle::new(20);

impl<R: Refusal> Error<R> {
    /// What the client is told. Counts the error, and logs it if it is a fault.
    #[must_use]
    pub fn into_status(self) -> Status {
        match self {
            Self::Refused(refusal) => refused(&refusal),
            Self::Invalid(invalid) => field(R::DOMAIN, invalid),
            Self::RequestIdReused => {
                let details = reason(R::DOMAIN, REQUEST_ID_REUSED, []);
                Status::with_error_details(Code::InvalidArgument, super::REUSED_WORDS, details)
            }
            Self::Overloaded { retry_after } => overloaded(R::DOMAIN, retry_after),
            Self::Unavailable(fault) => unavailable(R::DOMAIN, &fault),
            Self::Internal(fault) => internal(R::DOMAIN, &fault),
        }
    }
}

impl<R: Refusal> From<Error<R>> for Status {
    fn from(error: Error<R>) -> Self {
        error.into_status()
    }
}

/// Turned away before anything happened.
pub(crate) fn overloaded(domain: &'static str, retry_after: Duration) -> Status {
    let mut details = reason(domain, OVERLOADED, []);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::Unavailable, super::OVERLOADED_WORDS, details)
}

/// The outcome is unknown.
pub(crate) fn unavailable(domain: &'static str, fault: &Fault) -> Status {
    let trace_id = trace_id();
    if let Some(suppressed) = UNAVAILABLE_LINES.pass(Instant::now()) {
        let cause = fault.chain();
        tracing::warn!(domain, reason = BACKEND_UNAVAILABLE, trace_id, cause, suppressed, "a backend is unavailable");
    }
    let mut details = reason(domain, BACKEND_UNAVAILABLE, [("trace_id", trace_id.clone())]);
    details.set_retry_info(Some(BACKEND_RETRY));
    let message = format!("{}, repeat the request or ask (trace {trace_id})", super::UNAVAILABLE_WORDS);
    Status::with_error_details(Code::Unavailable, message, details)
}

/// A defect of ours.
pub(crate) fn internal(domain: &'static str, fault: &Fault) -> Status {
    let trace_id = trace_id();
    if let Some(suppressed) = INTERNAL_LINES.pass(Instant::now()) {
        let cause = fault.chain();
        tracing::error!(domain, reason = INTERNAL, trace_id, cause, suppressed, "a request met a defect");
    }
    let details = reason(domain, INTERNAL, [("trace_id", trace_id.clone())]);
    Status::with_error_details(Code::Internal, format!("{} (trace {trace_id})", super::INTERNAL_WORDS), details)
}

fn refused<R: Refusal>(refusal: &R) -> Status {
    let mut details = reason(R::DOMAIN, refusal.reason(), refusal.metadata());
    if let Some(delay) = refusal.retry_after() {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(refusal.code(), refusal.message(), details)
}

/// The request is not one that could be answered.
pub(crate) fn field(domain: &'static str, invalid: Invalid) -> Status {
    let mut details = reason(domain, INVALID_FIELD, []);
    let message = invalid.to_string();
    details.add_bad_request_violation(invalid.field, invalid.description);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The one word that clients branch on; each is counted as it is made.
fn reason<M>(domain: &'static str, reason: &'static str, metadata: M) -> ErrorDetails
where
    M: IntoIterator<Item = (&'static str, String)>,
{
    metrics::counter!("booster_refusals_total", "domain" => domain, "reason" => reason).increment(1);
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason, domain, metadata)
}

/// The current trace's id, or, where nothing is traced, a random one: the client's words and the log's line still meet.
fn trace_id() -> String {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() { span.trace_id().to_string() } else { uuid::Uuid::new_v4().simple().to_string() }
}

#[cfg(test)]
mod tests;
