//! Placing: an order joins the batch, one transaction carries the batch, everyone is told his own outcome.
//!
//! Batches are natural: whatever queued while the last transaction ran, at most 256, without a timer. So buyers of one item do not queue
//! for the lock of its row one by one: the batch locks it once, and they are served in the order of their arrival.

mod batch;
mod decide;

use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::error::{Error, Fault};
use kit::grpc::Deadline;
use kit::postgres::Pool;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::order::{Order, Refusal, RequestId, Wish};
use crate::proceed::Orders;

/// Orders placed in one transaction, at most.
const BATCH: usize = 256;
/// Orders that may wait to be placed; beyond it they are refused.
const WAITING: usize = 8_192;
/// How long an order may wait for its batch: after that it is refused, and nothing has happened.
const WAIT_MOST: Duration = Duration::from_secs(2);
/// When to come back after a refusal for lack of room.
const OVERLOADED_RETRY: Duration = Duration::from_millis(500);
/// Traces that the span of a batch belongs to, at most.
const TRACES: usize = 32;

/// Takes orders. A cheap handle.
#[derive(Clone)]
pub struct Places {
    waiting: mpsc::Sender<Placing>,
    /// Whether somebody answers for holds.
    holds: bool,
}

/// An order that waits to be placed.
struct Placing {
    wish: Wish,
    request_id: RequestId,
    /// SHA-256 of what was asked.
    digest: Vec<u8>,
    arrived: tokio::time::Instant,
    deadline: Deadline,
    trace: Option<String>,
    reply: oneshot::Sender<Result<Order, Error<Refusal>>>,
}

impl Places {
    /// Starts to place. `holds` says whether somebody answers for holds.
    #[must_use]
    pub fn start(process: &Process, pool: &Pool, orders: &Orders, holds: bool) -> Self {
        let (waiting, placings) = mpsc::channel(WAITING);
        let (pool, orders) = (pool.clone(), orders.clone());
        process.spawn(Stage::Work, "placing", |told| run(pool, orders, placings, told));
        Self { waiting, holds }
    }

    /// Places an order. The same request again answers the same order, as it stands by then. Dropping the future does not undo it.
    ///
    /// # Errors
    /// [`Refusal::HoldUnsupported`], [`Refusal::ItemNotFound`], [`Refusal::PriceChanged`], [`Refusal::OutOfStock`],
    /// [`Error::RequestIdReused`]; [`Error::Overloaded`] where nothing happened; [`Error::Unavailable`] where it may or may not have.
    pub async fn place(
        &self,
        wish: Wish,
        (request_id, digest): (RequestId, Vec<u8>),
        deadline: Deadline,
    ) -> Result<Order, Error<Refusal>> {
        if wish.hold_id.is_some() && !self.holds {
            return Err(Refusal::HoldUnsupported.into());
        }
        let (reply, answer) = oneshot::channel();
        let (arrived, trace) = (tokio::time::Instant::now(), kit::telemetry::traceparent());
        let placing = Placing { wish, request_id, digest, arrived, deadline, trace, reply };
        if self.waiting.try_send(placing).is_err() {
            return Err(Error::Overloaded { retry_after: OVERLOADED_RETRY });
        }
        let ended = || Error::Unavailable(Fault::new("the process ended before the order was placed"));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Places until told to stop; then those that are here are placed first.
async fn run(
    pool: Pool,
    orders: Orders,
    mut placings: mpsc::Receiver<Placing>,
    told: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let mut batch = Vec::new();
        let received = tokio::select! {
            biased;
            received = placings.recv_many(&mut batch, BATCH) => received,
            () = told.cancelled() => 0,
        };
        if received == 0 {
            return Ok(());
        }
        let batch: Vec<Placing> = batch.into_iter().filter_map(still_wanted).collect();
        metrics::histogram!("booster_place_batch_size").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let span = span(&batch);
        batch::place(&pool, &orders, batch).instrument(span).await;
    }
}

/// The order, unless its client is gone, or it has waited so long that it is turned away: nothing has happened.
fn still_wanted(placing: Placing) -> Option<Placing> {
    if placing.reply.is_closed() {
        return None;
    }
    if placing.arrived.elapsed() > WAIT_MOST || placing.deadline.expired() {
        // Whoever asked may be gone: then nobody is told.
        let _ = placing.reply.send(Err(Error::Overloaded { retry_after: OVERLOADED_RETRY }));
        return None;
    }
    Some(placing)
}

/// A span of the batch: it goes on with the trace of the first order that has one, and is linked to those of the others.
fn span(batch: &[Placing]) -> tracing::Span {
    let span = tracing::debug_span!("place", orders = batch.len());
    let traces = batch.iter().filter_map(|placing| placing.trace.as_deref()).take(TRACES);
    for (index, traceparent) in traces.enumerate() {
        if index == 0 {
            kit::telemetry::continue_trace(&span, traceparent);
        } else {
            kit::telemetry::link_trace(&span, traceparent);
        }
    }
    span
}
