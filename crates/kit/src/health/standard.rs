//! `grpc.health.v1`, over the same conditions as `/readyz`.

use super::Readiness;
use futures::stream::{self, BoxStream, StreamExt};
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The health service of a process: a name for each gRPC service it serves, and `""` for all of it.
#[derive(Debug)]
pub(crate) struct Standard {
    names: BTreeSet<&'static str>,
    readiness: Readiness,
}

impl Standard {
    pub(crate) fn new(services: impl IntoIterator<Item = &'static str>, readiness: Readiness) -> Self {
        Self { names: services.into_iter().chain([""]).collect(), readiness }
    }
}

#[tonic::async_trait]
impl Health for Standard {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.names.contains(request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no service of this name here"));
        }
        Ok(Response::new(answer(serving(self.readiness.is_ready()))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// Tells at once, and at every change, until the process drains. A name that is not known is answered and kept
    /// waiting, as the protocol has it.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !self.names.contains(request.get_ref().service.as_str()) {
            let unknown = stream::iter([Ok(answer(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        Ok(Response::new(changes(&self.readiness).map(|ready| Ok(answer(serving(ready)))).boxed()))
    }
}

fn changes(readiness: &Readiness) -> impl futures::Stream<Item = bool> + Send + 'static {
    let receiver = readiness.0.subscribe();
    stream::unfold((receiver, None), |(mut receiver, told)| async move {
        let (ready, over) = {
            let now = receiver.wait_for(|now| Some(now.is_ready()) != told || now.draining).await.ok()?;
            (now.is_ready(), now.draining)
        };
        if over && told == Some(false) {
            return None;
        }
        Some((ready, (receiver, Some(ready))))
    })
}

fn serving(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_is_told_of_each_change_and_let_go_at_the_drain() {
        let readiness = Readiness::new();
        readiness.waiting("redis", "connecting");
        let mut watched = std::pin::pin!(changes(&readiness));
        assert_eq!(watched.next().await, Some(false));
        readiness.ready("redis");
        assert_eq!(watched.next().await, Some(true));
        readiness.waiting("redis", "lost, which takes nothing away");
        readiness.drain();
        assert_eq!(watched.next().await, Some(false));
        assert_eq!(watched.next().await, None);
    }
}
