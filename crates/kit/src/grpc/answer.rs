//! An answer on its way out: counted when it ends, however it ends, and ended if its connection leaves first.

use super::method::Method;
use super::rpc::Seat;
use crate::error::Code;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

/// Where gRPC says how a call ended: in the trailers, or in the head of an answer that has nothing but that.
const STATUS: &str = "grpc-status";

pin_project! {
    /// The body of an answer.
    pub(super) struct Answer {
        #[pin]
        body: Body,
        tally: Tally,
        leaving: CancellationToken,
        // Only a stream that waits for its next message ever needs it.
        left: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
        over: bool,
    }
}

/// Counts a call when it is dropped; one whose end was not seen was cancelled by its client.
pub(super) struct Tally {
    method: &'static Method,
    began: Instant,
    code: Option<Code>,
    span: Span,
    _in_hand: Seat,
}

impl Answer {
    /// Wraps `response`, whose head is what the duration of a call is measured by.
    pub(super) fn to(response: Response<Body>, mut tally: Tally, leaving: CancellationToken) -> Response<Self> {
        tally.method.seconds.record(tally.began.elapsed());
        tally.read(response.headers());
        response.map(|body| Self { body, tally, leaving, left: None, over: false })
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) {
            if let Some(Ok(frame)) = &frame
                && let Some(trailers) = frame.trailers_ref()
            {
                this.tally.read(trailers);
            }
            return Poll::Ready(frame);
        }
        let left = this.left.get_or_insert_with(|| Box::pin(this.leaving.clone().cancelled_owned()));
        ready!(left.as_mut().poll(cx));
        *this.over = true;
        let trailers = leaving();
        this.tally.read(&trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Tally {
    pub(super) fn begin(method: &'static Method, in_hand: Seat, span: Span) -> Self {
        method.in_hand.increment(1.0);
        Self { method, began: Instant::now(), code: None, span, _in_hand: in_hand }
    }

    fn read(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(STATUS) {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        self.method.in_hand.decrement(1.0);
        self.method.count(code);
        self.span.record("rpc.grpc.status_code", code as i32);
    }
}

/// What the client of a stream is told when the process drains, or its connection has grown old.
fn leaving() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(STATUS, HeaderValue::from(Code::Unavailable as i32));
    trailers.insert("grpc-message", HeaderValue::from_static("the connection is closing; watch again"));
    trailers
}
