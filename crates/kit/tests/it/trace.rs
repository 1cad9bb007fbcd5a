//! Traces on their way to a collector, and what happens when it is away. The process is one of its own, because a
//! process decides once where its traces go.

use crate::ask::until;
use crate::diary::Diary;
use crate::signals::Smallest;
use futures::future::BoxFuture;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{self, NamedService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

const TRACE_ID: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Notes each of our trace's spans that arrives.
#[derive(Clone, Default)]
struct Collector(Diary);

/// The request of a collector, as far as this test reads it.
#[derive(Clone, PartialEq, prost::Message)]
struct Spans {
    #[prost(bytes = "vec", repeated, tag = "1")]
    resource_spans: Vec<Vec<u8>>,
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let diary = self.0.clone();
        Box::pin(async move {
            let take = service_fn(|spans: Request<Spans>| {
                let all = spans.into_inner().resource_spans.concat();
                if all.windows(TRACE_ID.len()).any(|bytes| bytes == TRACE_ID) {
                    diary.note("our trace");
                }
                std::future::ready(Ok::<_, Status>(Response::new(())))
            });
            Ok(server::Grpc::new(ProstCodec::<(), Spans>::default()).unary(take, request).await)
        })
    }
}

#[tokio::test]
async fn a_callers_trace_arrives_with_its_id_at_the_latest_when_the_process_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = Collector::default();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let serving = Server::builder().add_service(collector.clone()).serve_with_incoming(incoming);
    tokio::select! {
        _ = serving => panic!("the collector ended"),
        () = one_call(&endpoint) => {}
    }
    assert_eq!(collector.0.read(), ["our trace"]);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing_but_the_traces() {
    let began = Instant::now();
    one_call("http://127.0.0.1:9").await;
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
}

/// A process that traces, one call to it that is part of a trace, and its end.
async fn one_call(endpoint: &str) {
    let mut process = Smallest::start(&["--otlp-endpoint", endpoint, "--trace-ratio", "0"]);
    let started = process.until("started");
    let (grpc, admin) = (started["grpc"].as_str().unwrap(), started["admin"].as_str().unwrap());
    until(admin.parse().unwrap(), 200).await;
    let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    HealthClient::new(channel).check(request).await.unwrap();
    process.signal("-TERM");
    let ended = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(ended.0, 0, "{}", ended.1);
}
