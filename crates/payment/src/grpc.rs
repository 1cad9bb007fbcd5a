//! The gRPC door: decode, validate, deadline; then a verb; then the reply.

mod reply;
mod request;

use std::time::Duration;

use futures::FutureExt as _;
use kit::error::Error;
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use kit::postgres::Pool;
use proto::payment::v1 as pb;
use proto::payment::v1::payment_service_server::{PaymentService, PaymentServiceServer};
use tonic::{Request, Response, Status};

use crate::find;
use crate::payment::Refusal;

pub use reply::payment;

/// How long a call may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);
/// The longest answer, in bytes: a page of a thousand payments.
const ANSWER_LONGEST: usize = 4 * 1024 * 1024;

/// What the methods work with.
#[derive(Clone)]
pub struct Payments {
    /// Payments as they stand.
    pub pool: Pool,
}

/// The service, ready to be served.
#[must_use]
pub fn server(payments: Payments) -> PaymentServiceServer<Payments> {
    PaymentServiceServer::new(payments)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(ANSWER_LONGEST)
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn get_payment(&self, request: Request<pb::GetPaymentRequest>) -> Result<Response<pb::Payment>, Status> {
        answer(until(&request, CALL_TIME), async {
            let by = request::get_payment(request.get_ref())?;
            Ok(payment(&find::payment(&self.pool, &by).await?))
        })
        .await
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (list, wished) = request::list_payments(request.get_ref())?;
            Ok(reply::list_payments(list, find::payments(&self.pool, wished).await?))
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
