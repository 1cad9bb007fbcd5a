//! A service that behaves oddly, as its method's name says.

use crate::diary::Diary;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::client;
use tonic::server::{self, NamedService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// How long `Wait` takes.
pub const WAIT: Duration = Duration::from_millis(300);

/// What it notes when that has passed.
pub const WAITED: &str = "waited";

#[derive(Clone, Default)]
pub struct Odd(pub Diary);

impl NamedService for Odd {
    const NAME: &'static str = "booster.odd.v1.OddService";
}

impl Service<http::Request<Body>> for Odd {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let diary = self.0.clone();
        Box::pin(async move {
            let mut grpc = server::Grpc::new(ProstCodec::<(), ()>::default());
            if method == "Watch" {
                return Ok(grpc.server_streaming(service_fn(|_: Request<()>| watch()), request).await);
            }
            Ok(grpc.unary(service_fn(|_: Request<()>| answer(method.clone(), diary.clone())), request).await)
        })
    }
}

/// Its descriptors, as they would come from a `.proto`.
pub fn descriptors() -> &'static [u8] {
    let method = |name: &str| MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(".booster.odd.v1.Nothing".into()),
        output_type: Some(".booster.odd.v1.Nothing".into()),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("OddService".into()),
        method: ["Answer", "Wait", "Hang", "Panic", "Watch"].map(method).into(),
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("odd.proto".into()),
        package: Some("booster.odd.v1".into()),
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec().leak()
}

/// Calls one of its methods that give one answer.
pub async fn call(channel: &Channel, method: &str, timeout: Option<Duration>) -> Result<(), Status> {
    let mut grpc = client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    grpc.unary(request, path(method), ProstCodec::default()).await.map(Response::into_inner)
}

/// Calls one of its methods that give one answer, with metadata.
pub async fn call_with(channel: &Channel, method: &str, metadata: &[(&'static str, &str)]) -> Result<(), Status> {
    let mut grpc = client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    grpc.unary(request, path(method), ProstCodec::default()).await.map(Response::into_inner)
}

/// Calls the method that gives a stream.
pub async fn stream(channel: &Channel) -> Streaming<()> {
    let mut grpc = client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    grpc.server_streaming(Request::new(()), path("Watch"), ProstCodec::default()).await.unwrap().into_inner()
}

/// One message, and then none for ever.
async fn watch() -> Result<Response<BoxStream<'static, Result<(), Status>>>, Status> {
    Ok(Response::new(stream::iter([Ok(())]).chain(stream::pending()).boxed()))
}

async fn answer(method: String, diary: Diary) -> Result<Response<()>, Status> {
    match method.as_str() {
        "Answer" => {}
        "Wait" => {
            tokio::time::sleep(WAIT).await;
            diary.note(WAITED);
        }
        "Hang" => std::future::pending().await,
        "Panic" => panic!("as asked"),
        _ => return Err(Status::unimplemented("")),
    }
    Ok(Response::new(()))
}

fn path(method: &str) -> PathAndQuery {
    format!("/{}/{method}", Odd::NAME).parse().unwrap()
}
