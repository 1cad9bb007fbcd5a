//! The edge to the outside: one port for all gRPC services of a process, with its bounds, its reflection and its
//! deadlines. What is special about one connection is in `connection.rs`, about one call in `rpc.rs`.

use crate::health::{Readiness, Standard};
use anyhow::Context;
use futures::StreamExt;
use std::convert::Infallible;
use std::pin::pin;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

mod connection;
mod rpc;
mod answer;
mod method;
mod deadline;

pub use deadline::{Deadline, deadline, within};

/// The longest request, in bytes; a service puts it on its generated server.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A port and the services behind it, before it is opened.
pub(crate) struct Door {
    listener: TcpListener,
    descriptors: &'static [u8],
    routes: Routes,
    services: Vec<&'static str>,
}

impl Door {
    /// Nothing is accepted yet: who connects waits. `descriptors` are an encoded `FileDescriptorSet`.
    pub(crate) fn new(listener: TcpListener, descriptors: &'static [u8]) -> Self {
        Self { listener, descriptors, routes: Routes::default(), services: Vec::new() }
    }

    /// Adds a service, under its name.
    pub(crate) fn add<S>(&mut self, service: S)
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes = std::mem::take(&mut self.routes).add_service(service);
        self.services.push(S::NAME);
    }

    /// Accepts until `told`, then lets the requests in hand end.
    pub(crate) async fn open(mut self, readiness: Readiness, told: CancellationToken) -> anyhow::Result<()> {
        let own = [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        let methods = method::Methods::read(&[self.descriptors, own[0], own[1]])?;
        let health = Standard::new(self.services.iter().copied(), readiness);
        self.add(HealthServer::new(health));
        let routes = self.with_reflection()?.prepare();

        let connections = TaskTracker::new();
        accept(self.listener, &connections, &told, || rpc::Rpcs::new(routes.clone(), methods.clone())).await;
        connections.close();
        connections.wait().await;
        Ok(())
    }

    /// Reflection tells of what is served here, not of all that the descriptors know.
    fn with_reflection(&self) -> anyhow::Result<Routes> {
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(self.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that a client that asks can read the details of a refusal.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.reflection.v1.ServerReflection");
        for service in &self.services {
            reflection = reflection.with_service_name(*service);
        }
        let reflection = reflection.build_v1().context("the descriptors of the gRPC services")?;
        Ok(self.routes.clone().add_service(reflection))
    }
}

/// Takes connections until `told`; then the port is closed.
async fn accept(listener: TcpListener, open: &TaskTracker, told: &CancellationToken, rpcs: impl Fn() -> rpc::Rpcs) {
    let gauge = metrics::gauge!("booster_connections");
    let mut incoming = pin!(connection::incoming(listener).take_until(told.clone().cancelled_owned()));
    while let Some(stream) = incoming.next().await {
        if open.len() >= connection::MOST {
            metrics::counter!("booster_connections_refused_total").increment(1);
            continue;
        }
        let (serving, gauge) = (connection::serve(stream, rpcs(), told.clone()), gauge.clone());
        open.spawn(async move {
            gauge.increment(1.0);
            serving.await;
            gauge.decrement(1.0);
        });
    }
}
