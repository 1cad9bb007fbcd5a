//! How a test starts a process, and asks it.

use crate::odd;
use clap::Parser;
use kit::boot::Process;
use kit::config::ProcessArgs;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// The arguments of a process on free ports, and `more`.
pub fn args(more: &[&str]) -> ProcessArgs {
    let ports = ["test", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
    Flags::try_parse_from(ports.iter().chain(more)).unwrap_or_else(|e| panic!("{e}")).process
}

/// A process on free ports that serves the odd service.
pub async fn start(more: &[&str]) -> Process {
    let process = Process::start(&args(more), odd::descriptors()).await.unwrap();
    process.serve(odd::Odd::default());
    process
}

/// Status and body of a GET.
pub async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Returns once `/readyz` answers `status`, with its body.
pub async fn until(addr: SocketAddr, status: u16) -> String {
    loop {
        match get(addr, "/readyz").await {
            (is, body) if is == status => return body,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// A connection to the gRPC port.
pub async fn channel(process: &Process) -> Channel {
    let uri = format!("http://{}", process.grpc_addr());
    Channel::from_shared(uri).unwrap().connect().await.unwrap()
}

/// What the health service says of `service`.
pub async fn health(channel: &Channel, service: &str) -> Result<i32, tonic::Status> {
    let request = HealthCheckRequest { service: service.into() };
    HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status)
}
