//! Around every call: a seat on its connection or a quick no, a span that continues the caller's trace, a deadline, a
//! net for panics, and a count of how it ended. Everything here is paid for by every call, so it is looked up before
//! the call or not at all.

use super::answer::{Answer, Tally};
use super::deadline::Deadline;
use super::method::{Method, Methods};
use crate::error::{self, Code, Fault, Invalid};
use crate::telemetry;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;
use tracing::{Instrument, Span, field};

/// Requests that one connection may have in hand; the next is turned away before it costs anything.
const SEATS: usize = 128;
/// When a request that was turned away may come back.
const COME_BACK: Duration = Duration::from_millis(100);
/// The longest a handler may take until its answer begins, whatever the client and the service say.
const LONGEST: Duration = Duration::from_secs(30);

/// What answers the requests of one connection.
pub(super) struct Rpcs {
    routes: Routes,
    methods: Methods,
    /// Calls whose answer has not begun.
    handled: Seats,
    /// Calls whose answer has not ended: streams sit here for long.
    in_hand: Seats,
    leaving: CancellationToken,
}

/// Who sits on one connection.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<AtomicUsize>);

/// A seat that is taken, until it is dropped.
pub(super) struct Seat {
    number: usize,
    seats: Arc<AtomicUsize>,
}

impl Rpcs {
    pub(super) fn new(routes: Routes, methods: Methods) -> Self {
        Self {
            routes,
            methods,
            handled: Seats::default(),
            in_hand: Seats::default(),
            leaving: CancellationToken::new(),
        }
    }

    /// Ends the streams of this connection, once it is cancelled.
    pub(super) fn leaving(&self) -> CancellationToken {
        self.leaving.clone()
    }

    /// What this connection has in hand.
    pub(super) fn in_hand(&self) -> Seats {
        self.in_hand.clone()
    }
}

impl hyper::service::Service<Request<Incoming>> for Rpcs {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let method = self.methods.at(request.uri().path());
        let span = span(method, request.headers());
        let tally = Tally::begin(method, self.in_hand.take(), span.clone());
        let leaving = self.leaving.clone();
        let seat = self.handled.take();
        if seat.number > SEATS {
            let no = error::overloaded(method.domain, COME_BACK).into_http();
            return ready(Ok(Answer::to(no, tally, leaving))).boxed();
        }
        let deadline = Deadline::of(request.headers(), LONGEST);
        let called = self.routes.clone().call(request);
        let answer = async move {
            let response = readable(method, in_time(method, deadline, called).await);
            drop(seat);
            Ok(Answer::to(response, tally, leaving))
        };
        answer.instrument(span).boxed()
    }
}

impl Seats {
    /// Whether nobody sits.
    pub(super) fn none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    fn take(&self) -> Seat {
        Seat { number: self.0.fetch_add(1, Ordering::AcqRel) + 1, seats: self.0.clone() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.fetch_sub(1, Ordering::AcqRel);
    }
}

fn span(method: &'static Method, headers: &HeaderMap) -> Span {
    let span =
        tracing::debug_span!("rpc", otel.name = method.name, otel.kind = "server", rpc.grpc.status_code = field::Empty);
    if !span.is_disabled()
        && let Some(parent) = headers.get(telemetry::TRACEPARENT).and_then(|value| value.to_str().ok())
    {
        telemetry::continue_trace(&span, parent);
    }
    span
}

/// A handler that panics must not take the other requests of its connection with it.
async fn in_time<F>(method: &'static Method, deadline: Deadline, called: F) -> Response<Body>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    match tokio::time::timeout_at(deadline.instant(), AssertUnwindSafe(called).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => panicked(method, &*panic).into_http(),
        Err(_) => {
            let fault = Fault::new(format!("{} did not answer by its deadline", method.name));
            error::unavailable(method.domain, &fault).into_http()
        }
    }
}

/// A request that is too long, or no message of its method, never comes to a handler: tonic answers it, without a reason, and
/// mostly as a defect of ours. It is a field that is not as it should be: the request itself.
fn readable(method: &'static Method, response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.details().is_empty() && matches!(status.code(), Code::Internal | Code::OutOfRange) => {
            let why = format!("cannot be read: {}", status.message());
            error::field(method.domain, Invalid::new("request", why)).into_http()
        }
        Some(_) | None => response,
    }
}

fn panicked(method: &'static Method, panic: &(dyn Any + Send)) -> Status {
    error::internal(method.domain, &Fault::panicked(panic).context(method.name))
}
