//! The gRPC door: decode, validate, deadline; then a verb; then the reply.

mod reply;
mod request;

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::tz::TimeZone;
use kit::error::Error;
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use proto::ranking::v1 as pb;
use proto::ranking::v1::ranking_service_server::{RankingService, RankingServiceServer};
use tonic::{Request, Response, Status};

use crate::board::Refusal;
use crate::find::Finder;
use crate::rebuild::Rebuilds;
use crate::watch::Watches;
use request::Asked;

/// How long a call may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);
/// The same for making a board anew.
const REBUILD_TIME: Duration = Duration::from_secs(30);
/// How long a board is watched, at most; less where its client says so. Whoever wants more asks again.
const WATCH_TIME: Duration = Duration::from_secs(3_600);

/// What the methods work with.
#[derive(Clone)]
pub struct Ranking {
    /// Where it is today.
    pub zone: TimeZone,
    /// Looks.
    pub finder: Finder,
    /// Who watches what.
    pub watches: Watches,
    /// Makes boards anew.
    pub rebuilds: Rebuilds,
}

/// The service, ready to be served.
#[must_use]
pub fn server(ranking: Ranking) -> RankingServiceServer<Ranking> {
    RankingServiceServer::new(ranking).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl RankingService for Ranking {
    async fn list_top(&self, request: Request<pb::ListTopRequest>) -> Result<Response<pb::ListTopResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let Asked { shown, limit } = request::list_top(request.get_ref(), &self.zone)?;
            Ok(reply::top(&shown, &self.finder.top(&shown, limit).await?, limit))
        })
        .await
    }

    async fn get_rank(&self, request: Request<pb::GetRankRequest>) -> Result<Response<pb::Rank>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (board, item_id) = request::get_rank(request.get_ref(), &self.zone)?;
            Ok(reply::rank(self.finder.rank(&board, &item_id).await?))
        })
        .await
    }

    type WatchTopStream = BoxStream<'static, Result<pb::ListTopResponse, Status>>;

    async fn watch_top(&self, request: Request<pb::WatchTopRequest>) -> Result<Response<Self::WatchTopStream>, Status> {
        let end = until(&request, WATCH_TIME);
        answer(until(&request, CALL_TIME), async {
            let Asked { shown, limit } = request::watch_top(request.get_ref(), &self.zone)?;
            let watcher = self.watches.watch(&shown, limit)?;
            // Looked at after the watching has begun, so that nothing between is missed.
            let tops = watcher.tops(self.finder.top(&shown, limit).await?);
            let replies = tops.map(move |top| Ok(reply::top(&shown, &top, limit)));
            Ok(replies.take_until(tokio::time::sleep_until(end.instant())).boxed())
        })
        .await
    }

    async fn rebuild_board(
        &self,
        request: Request<pb::RebuildBoardRequest>,
    ) -> Result<Response<pb::RebuildBoardResponse>, Status> {
        answer(until(&request, REBUILD_TIME), async {
            let board = request::rebuild_board(request.get_ref(), &self.zone)?;
            Ok(pb::RebuildBoardResponse { items: self.rebuilds.rebuild(&board).await? })
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
