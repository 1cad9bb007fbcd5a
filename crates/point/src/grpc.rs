//! The gRPC door: decode, validate, deadline; then a verb; then the reply.

mod reply;
mod request;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kit::error::Error;
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use kit::postgres::Pool;
use proto::point::v1 as pb;
use proto::point::v1::point_service_server::{PointService, PointServiceServer};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::lane::Lanes;
use crate::refusal::Refusal;
use crate::{audit, find};

pub use reply::balance;

/// How long a call may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);
/// The same for an audit, which reads everything.
const AUDIT_TIME: Duration = Duration::from_secs(300);
/// When to come back while another audit runs.
const AUDIT_RETRY: Duration = Duration::from_secs(10);
/// The longest answer, in bytes: a page of a thousand entries.
const ANSWER_LONGEST: usize = 4 * 1024 * 1024;

/// What the methods work with.
#[derive(Clone)]
pub struct Points {
    /// Where the ledger is.
    pool: Pool,
    /// The way to a change.
    lanes: Lanes,
    /// One audit at a time.
    auditing: Arc<Semaphore>,
}

/// The service, ready to be served.
#[must_use]
pub fn server(pool: Pool, lanes: Lanes) -> PointServiceServer<Points> {
    PointServiceServer::new(Points { pool, lanes, auditing: Arc::new(Semaphore::new(1)) })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(ANSWER_LONGEST)
}

#[tonic::async_trait]
impl PointService for Points {
    async fn earn_points(
        &self,
        request: Request<pb::EarnPointsRequest>,
    ) -> Result<Response<pb::EarnPointsResponse>, Status> {
        let deadline = until(&request, CALL_TIME);
        answer(deadline, async {
            let entry = self.lanes.ask(request::earn(request.into_inner())?, deadline).await?;
            Ok(pb::EarnPointsResponse { entry: entry.as_ref().map(reply::entry) })
        })
        .await
    }

    async fn deduct_points(
        &self,
        request: Request<pb::DeductPointsRequest>,
    ) -> Result<Response<pb::DeductPointsResponse>, Status> {
        let deadline = until(&request, CALL_TIME);
        answer(deadline, async {
            let entry = self.lanes.ask(request::deduct(request.get_ref())?, deadline).await?;
            Ok(pb::DeductPointsResponse { entry: entry.as_ref().map(reply::entry) })
        })
        .await
    }

    async fn refund_points(
        &self,
        request: Request<pb::RefundPointsRequest>,
    ) -> Result<Response<pb::RefundPointsResponse>, Status> {
        let deadline = until(&request, CALL_TIME);
        answer(deadline, async {
            let entry = self.lanes.ask(request::refund(request.get_ref())?, deadline).await?;
            Ok(pb::RefundPointsResponse { entry: entry.as_ref().map(reply::entry) })
        })
        .await
    }

    async fn get_balance(&self, request: Request<pb::GetBalanceRequest>) -> Result<Response<pb::Balance>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (user_id, at) = request::balance(request.get_ref())?;
            Ok(balance(&find::balance(&self.pool, &user_id, at).await?))
        })
        .await
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = request::Page::read(request.get_ref())?;
            let listed = find::entries(&self.pool, &page.user_id, page.below, page.size).await?;
            Ok(page.reply(&listed))
        })
        .await
    }

    async fn audit_ledger(
        &self,
        request: Request<pb::AuditLedgerRequest>,
    ) -> Result<Response<pb::AuditLedgerResponse>, Status> {
        answer(until(&request, AUDIT_TIME), async {
            let _alone = self.auditing.try_acquire().map_err(|_| Error::Overloaded { retry_after: AUDIT_RETRY })?;
            Ok(reply::report(audit::ledger(&self.pool).await?))
        })
        .await
    }
}

fn until<T>(request: &Request<T>, default: Duration) -> Deadline {
    deadline(request.metadata(), default)
}

/// Not an `async fn`, which would hold the work twice.
fn answer<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error<Refusal>>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    within(deadline, work).map(|done| Ok(Response::new(done?)))
}
