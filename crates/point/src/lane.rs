//! Lanes: what clients ask joins the batch of its lane, one transaction carries the batch, everyone is told his own outcome.
//!
//! Batches are natural: whatever queued while the last transaction ran, at most 256, without a timer. An account is always on the
//! same lane, so that a process never waits for itself, and one that everybody wants costs one update a batch.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::error::{Error, Fault};
use kit::grpc::Deadline;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::apply::{Books, Failed};
use crate::entry::Entry;
use crate::operation::{Asked, Operation, Outcome, Request};
use crate::refusal::Refusal;

/// Operations in one transaction.
const BATCH: usize = 256;
/// Lanes of a process, each with a transaction at a time.
const LANES: usize = 4;
/// Operations that may wait for one lane; beyond it they are refused.
const WAITING: usize = 4_096;
/// When to come back after a refusal for lack of room.
const OVERLOADED_RETRY: Duration = Duration::from_millis(500);
/// Pauses before a batch is tried again that PostgreSQL did not carry out, or did not say that it had: a request is carried out once.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// Takes operations. A cheap handle.
#[derive(Clone)]
pub struct Lanes(Arc<[mpsc::Sender<Waiting>]>);

/// What one is told who asked: the entry, if there is one.
type Answer = Result<Option<Entry>, Error<Refusal>>;

/// One operation that waits.
struct Waiting {
    asked: Asked,
    deadline: Deadline,
    trace: Option<String>,
    reply: oneshot::Sender<Answer>,
}

impl Lanes {
    /// Starts them.
    #[must_use]
    pub fn start(process: &Process, books: &Books) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            let books = books.clone();
            process.spawn(Stage::Work, "lanes", move |told| run(books, receiver, told));
            sender
        };
        Self((0..LANES).map(lane).collect())
    }

    /// Has an operation carried out; tells the entry, if there is one. Dropping the future does not undo it. It may be tried more than
    /// once, and its request sees to it that it has one effect.
    ///
    /// # Errors
    /// A refusal; [`Error::Overloaded`] where too many wait; [`Error::Unavailable`] where the outcome is unknown.
    pub async fn ask(
        &self,
        (operation, request): (Operation, Request),
        deadline: Deadline,
    ) -> Result<Option<Entry>, Error<Refusal>> {
        let (reply, answer) = oneshot::channel();
        let lane = &self.0[number(&operation) % self.0.len()];
        let asked = Asked { operation, request: Some(request) };
        let waiting = Waiting { asked, deadline, trace: kit::telemetry::traceparent(), reply };
        if lane.try_send(waiting).is_err() {
            return Err(Error::Overloaded { retry_after: OVERLOADED_RETRY });
        }
        let ended = || Err(Error::Unavailable(Fault::new("the lane ended before it had an answer")));
        answer.await.unwrap_or_else(|_| ended())
    }
}

/// By the account where the operation names one. An order that is refunded knows its account, and the lane does not: the locks are
/// there for that.
fn number(operation: &Operation) -> usize {
    let mut hasher = DefaultHasher::new();
    match operation.user_id() {
        Some(user_id) => user_id.hash(&mut hasher),
        None => operation.order_id().hash(&mut hasher),
    }
    usize::try_from(hasher.finish() >> 32).unwrap_or_default()
}

/// Takes batches until told to stop; then those that wait are carried out first.
async fn run(books: Books, mut waiting: mpsc::Receiver<Waiting>, told: CancellationToken) -> anyhow::Result<()> {
    loop {
        let mut batch = Vec::new();
        let taken = tokio::select! {
            biased;
            taken = waiting.recv_many(&mut batch, BATCH) => taken,
            () = told.cancelled() => 0,
        };
        if taken == 0 {
            return Ok(());
        }
        let span = tracing::info_span!("points", operations = taken);
        if let Some(trace) = batch.iter().find_map(|waiting| waiting.trace.as_deref()) {
            kit::telemetry::continue_trace(&span, trace);
        }
        settle(&books, batch).instrument(span).await;
    }
}

/// Carries a batch out, and tells everyone. One in which PostgreSQL refuses a row is taken apart, so that the others have their answer.
async fn settle(books: &Books, mut batch: Vec<Waiting>) {
    let mut failed = None;
    for pause in [Duration::ZERO].into_iter().chain(PAUSES) {
        if failed.is_some() {
            tokio::time::sleep(pause).await;
        }
        batch = batch.into_iter().filter_map(|waiting| still_wanted(waiting, failed.as_ref())).collect();
        if batch.is_empty() {
            return;
        }
        metrics::histogram!("booster_point_batch_size").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let asked: Vec<&Asked> = batch.iter().map(|waiting| &waiting.asked).collect();
        match books.apply(&asked).await {
            Ok(outcomes) => {
                for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                    waiting.tell(answer(outcome));
                }
                return;
            }
            // The second time it is not because another process has carried out the same request.
            Err(again) if again.is_bad_row() && failed.is_some() && batch.len() > 1 => {
                for waiting in batch {
                    Box::pin(settle(books, vec![waiting])).await;
                }
                return;
            }
            Err(again) => failed = Some(again),
        }
    }
    for waiting in batch {
        waiting.tell(Err(failed.as_ref().map_or_else(too_late, Failed::error)));
    }
}

/// The operation, unless its caller is gone, or it is too late for it: nothing has happened, unless it was tried.
fn still_wanted(waiting: Waiting, failed: Option<&Failed>) -> Option<Waiting> {
    if waiting.reply.is_closed() {
        return None;
    }
    if waiting.deadline.expired() {
        waiting.tell(Err(failed.map_or_else(too_late, Failed::error)));
        return None;
    }
    Some(waiting)
}

fn too_late() -> Error<Refusal> {
    Error::Overloaded { retry_after: OVERLOADED_RETRY }
}

impl Waiting {
    /// Whoever asked may be gone: then nobody is told.
    fn tell(self, answer: Answer) {
        let _ = self.reply.send(answer);
    }
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Done(entry) => Ok(Some(entry)),
        Outcome::Nothing => Ok(None),
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::Invalid(invalid) => Err(invalid.into()),
        Outcome::Reused => Err(Error::RequestIdReused),
        Outcome::Before(user_id, nth) => Err(Error::Internal(Fault::new(format!("there is no entry {user_id}-{nth}")))),
    }
}
