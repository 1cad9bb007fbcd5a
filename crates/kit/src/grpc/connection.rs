//! One connection: taken, kept for so long, and let go in good manners. The limits are those that keep a hostile or
//! broken peer from costing more than its share.

use super::rpc::Rpcs;
use futures::Stream;
use futures::stream;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections of a process at most; a further one is closed as soon as it is made.
pub(super) const MOST: usize = 20_000;
/// Requests in hand that a connection may announce.
const STREAMS: u32 = 200;
/// The longest list of request headers, in bytes.
const HEADERS_BYTES: u32 = 8 * 1024;
/// What a client may send unread, for one request and for a connection.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What we keep for a client that reads slowly, for one answer.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// A silent peer is asked after this time, and gone if it does not answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);
/// How old a connection gets, so that load spreads over processes that came later; up to a tenth is added by lot, or
/// those that came together would leave together.
const AGE: Duration = Duration::from_secs(5 * 60);
/// How long the requests in hand may take once a connection is too old.
const AGE_GRACE: Duration = Duration::from_secs(45);
/// How long a peer may take to read what it was sent, and to close, once nothing is in hand.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be taken, mostly because the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections as they come.
pub(super) fn incoming(listener: TcpListener) -> impl Stream<Item = TcpStream> {
    stream::unfold(listener, |listener| async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // An answer is one small packet: it must not wait for a second one.
                    let _ = stream.set_nodelay(true);
                    return Some((stream, listener));
                }
                Err(error) => {
                    tracing::warn!(cause = %error, "a connection could not be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// Answers on one connection until its peer leaves, it is too old, or `told` to end.
pub(super) async fn serve(stream: TcpStream, rpcs: Rpcs, told: CancellationToken) {
    let (leaving, in_hand) = (rpcs.leaving(), rpcs.in_hand());
    let mut connection = pin!(builder().serve_connection(TokioIo::new(stream), rpcs));
    let patience = tokio::select! {
        _ = connection.as_mut() => return,
        () = told.cancelled() => Duration::MAX,
        () = sleep(AGE.mul_f64(rand::random_range(1.0..1.1))) => AGE_GRACE,
    };
    // Streams end with a status, requests in hand are answered, new ones go elsewhere. A peer that is dead, or never
    // reads, is not waited for.
    connection.as_mut().graceful_shutdown();
    leaving.cancel();
    let nothing_in_hand = async {
        loop {
            sleep(LAST_BYTES).await;
            if in_hand.none() {
                break;
            }
        }
    };
    tokio::select! {
        _ = connection => {}
        _ = timeout(patience, nothing_in_hand) => {}
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER);
    builder
}
