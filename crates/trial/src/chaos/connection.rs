//! One connection through the proxy: two directions, and what ends them both at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Weather;
use super::direction::{Direction, Way};

/// The connection cannot go on, and both sides are told so.
#[derive(Debug)]
pub(super) struct Reset;

/// How long the server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// What is read at once where nobody gets it, in bytes.
const SWALLOWED_AT_ONCE: usize = 4096;

/// Connects to `upstream` and forwards, as far as the fault lets it, until both sides have ended or something ends them.
/// `cuts` were counted when the client came.
pub(super) async fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    cuts: u64,
    mut weather: watch::Receiver<Weather>,
) {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(upstream)).await;
    let Ok(Ok(mut server)) = connected else { return reset(&client) };
    let lost = AtomicBool::new(false);
    let passed = tokio::select! {
        passed = both_ways(&mut client, &mut server, weather.clone(), &lost) => passed,
        reset = end(&mut weather, cuts, &lost) => Err(reset),
    };
    if let Err(Reset) = passed {
        reset(&client);
        reset(&server);
    }
}

/// Reads and forgets, until the fault changes. Whoever is half open does not notice that the client has left, either.
pub(super) async fn swallow(mut client: TcpStream, mut weather: watch::Receiver<Weather>) {
    let mut bytes = [0; SWALLOWED_AT_ONCE];
    let forget = async {
        while matches!(client.read(&mut bytes).await, Ok(1..)) {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = forget => {}
        _ = weather.changed() => {}
    }
    reset(&client);
}

/// When it is dropped, the other side sees a reset, and not an end.
pub(super) fn reset(stream: &TcpStream) {
    // A connection that is gone already needs no reset.
    let _ = stream.set_zero_linger();
}

async fn both_ways(
    client: &mut TcpStream,
    server: &mut TcpStream,
    weather: watch::Receiver<Weather>,
    lost: &AtomicBool,
) -> Result<(), Reset> {
    // What has left its sender does not wait here for more. Where this cannot be had, it is only slower.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Direction { way: Way::Requests, weather: weather.clone(), lost };
    let answers = Direction { way: Way::Answers, weather, lost };
    tokio::try_join!(requests.pass(from_client, to_server), answers.pass(from_server, to_client))?;
    Ok(())
}

/// Waits until everything is cut, or until the fault changes after something was lost.
async fn end(weather: &mut watch::Receiver<Weather>, cuts: u64, lost: &AtomicBool) -> Reset {
    while weather.borrow_and_update().cuts == cuts {
        // Without the proxy nobody would heal it any more.
        if weather.changed().await.is_err() || lost.load(Ordering::Relaxed) {
            break;
        }
    }
    Reset
}
