//! Peers that mean no good: what they do ends with their own connection.

use crate::ask::{channel, start};
use crate::odd::{self, Odd};
use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use std::time::Duration;
use tokio::net::TcpStream;
use tonic::server::NamedService;

/// Requests that are taken back as soon as they are made.
const RESETS: usize = 100_000;

#[tokio::test]
async fn headers_beyond_their_bound_are_refused() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        let bomb = "x".repeat(9 * 1024);
        assert!(odd::call_with(&channel, "Answer", &[("x-bomb", &bomb)]).await.is_err());
        odd::call(&channel, "Answer", None).await.unwrap();
        process.stop();
    });
}

#[tokio::test]
async fn rapid_resets_cost_the_peer_its_connection_and_nobody_else_anything() {
    let process = start(&[]).await;
    tokio::join!(process.clone().run_to_end(), async {
        let other = channel(&process).await;
        let stream = TcpStream::connect(process.grpc_addr()).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        let (closed, made) = tokio::join!(connection, async {
            let mut made = 0;
            while made < RESETS && reset_at_once(&mut requests).await.is_ok() {
                made += 1;
            }
            drop(requests);
            made
        });
        assert_eq!(closed.unwrap_err().reason(), Some(Reason::ENHANCE_YOUR_CALM));
        assert!(made < RESETS, "all of them were taken");
        odd::call(&other, "Answer", Some(Duration::from_secs(1))).await.unwrap();
        process.stop();
    });
}

async fn reset_at_once(requests: &mut SendRequest<Bytes>) -> Result<(), h2::Error> {
    let mut ready = requests.clone().ready().await?;
    let request = http::Request::post(format!("http://test/{}/Hang", Odd::NAME)).body(()).unwrap();
    let (_, mut stream) = ready.send_request(request, false)?;
    stream.send_reset(Reason::CANCEL);
    // The connection's own task must write it.
    tokio::task::yield_now().await;
    Ok(())
}
