//! The operator's door: decode, validate, deadline; then [`Repair`]; then the reply.

mod payload;
mod reply;
mod request;

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use proto::bus::v1 as pb;
use proto::bus::v1::dead_letter_service_server::{DeadLetterService, DeadLetterServiceServer};
use tonic::{Request, Response, Status};

use crate::repair::all::Repairs;
use crate::repair::{Error, Repair};

/// How long a call may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);
/// How long a replay may take, at most; less where its client says so. Whoever has more to replay asks again.
const REPLAY_TIME: Duration = Duration::from_secs(3_600);
/// The longest answer, in bytes: a page of a thousand, or one dead letter with the longest payload.
const ANSWER_LONGEST: usize = 16 * 1024 * 1024;

/// The service that answers for the dead letters of all these services, in their order, ready to be served.
#[must_use]
pub fn server(repairs: Vec<Repair>) -> DeadLetterServiceServer<DeadLetters> {
    DeadLetterServiceServer::new(DeadLetters { repairs: Repairs::new(repairs) })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(ANSWER_LONGEST)
}

/// What the methods work with.
#[derive(Clone)]
pub struct DeadLetters {
    repairs: Repairs,
}

#[tonic::async_trait]
impl DeadLetterService for DeadLetters {
    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = request::Page::read(request.get_ref())?;
            let listed = self.repairs.list(&page.filter, page.after.as_ref(), page.size + 1).await?;
            Ok(reply::page(&page, listed.ok_or_else(kit::page::foreign)?))
        })
        .await
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::DeadLetter>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (repair, id) = self.find(&request.get_ref().dead_letter_id)?;
            Ok(reply::whole(repair.service(), repair.get(id).await?))
        })
        .await
    }

    async fn edit_dead_letter(
        &self,
        request: Request<pb::EditDeadLetterRequest>,
    ) -> Result<Response<pb::DeadLetter>, Status> {
        answer(until(&request, CALL_TIME), async {
            let asked = request.get_ref();
            let (repair, id) = self.find(&asked.dead_letter_id)?;
            let deed = request::deed(&asked.operator, &asked.why)?;
            let letter = repair.get(id).await?;
            // What never was an event has no type either: that it can only be discarded is the better answer.
            repair.check(&letter)?;
            let payload = payload::from_json(&letter.kind, &asked.payload_json)?;
            Ok(reply::whole(repair.service(), repair.edit(id, &payload, &deed).await?))
        })
        .await
    }

    type ReplayDeadLettersStream = BoxStream<'static, Result<pb::ReplayDeadLettersResponse, Status>>;

    async fn replay_dead_letters(
        &self,
        request: Request<pb::ReplayDeadLettersRequest>,
    ) -> Result<Response<Self::ReplayDeadLettersStream>, Status> {
        let end = until(&request, REPLAY_TIME);
        answer(until(&request, CALL_TIME), async {
            let steps = self.repairs.replay(&request::orders(request.into_inner())?, end)?;
            Ok(steps.map(|step| Ok(step.map(|(service, step)| reply::step(service, step))?)).boxed())
        })
        .await
    }

    async fn discard_dead_letter(
        &self,
        request: Request<pb::DiscardDeadLetterRequest>,
    ) -> Result<Response<pb::DeadLetter>, Status> {
        answer(until(&request, CALL_TIME), async {
            let asked = request.get_ref();
            let (repair, id) = self.find(&asked.dead_letter_id)?;
            let deed = request::deed(&asked.operator, &asked.why)?;
            Ok(reply::whole(repair.service(), repair.discard(id, &deed).await?))
        })
        .await
    }
}

impl DeadLetters {
    /// Whose dead letter it is, and its number there.
    fn find(&self, asked: &str) -> Result<(&Repair, i64), Error> {
        let name = request::name("dead_letter_id", asked)?;
        Ok((self.repairs.of(&name.service)?, name.id))
    }
}

fn until<T>(request: &Request<T>, default: Duration) -> Deadline {
    deadline(request.metadata(), default)
}

fn answer<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    within(deadline, work).map(|done| Ok(Response::new(done?)))
}
