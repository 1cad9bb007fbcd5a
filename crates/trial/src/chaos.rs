//! A TCP proxy that does harm: it stands between a client and a server, and cuts, delays, swallows, or drops the answers.
//!
//! ```text
//! client ── 127.0.0.1:port of the proxy ── [request ▶ queue ▶] ── upstream
//!                                          [◀ queue ◀ answer]
//! ```
//!
//! One fault at a time is in force, for all connections. What a connection has lost cannot be given back: once something
//! was swallowed, the next change of the fault, [`Proxy::heal`] included, ends that connection with a reset, so that nobody
//! ever reads on behind a gap. All other connections live on.
//!
//! A server that announces addresses of its own (the nodes of a Redis Cluster, the brokers of Kafka) is asked there, past
//! the proxy. PostgreSQL and our own gRPC services are reached by their URL alone: [`Proxy::in_front_of`] makes that URL.

pub mod tripwire;
mod connection;
mod direction;
mod place;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// A proxy. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    weather: watch::Sender<Weather>,
    _accepting: JoinSet<()>,
}

/// What happens to all that passes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    Delay(Duration),
    HalfOpen,
    OneWay,
}

/// The fault, and what a connection must not miss when faults change faster than it looks.
#[derive(Debug, Clone, Copy)]
struct Weather {
    fault: Fault,
    /// How often everything was cut: a connection that was there before the last time is over.
    cuts: u64,
}

/// Connections that are open at once; beyond it, clients wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// Pause after a connection could not be accepted, as when this process has too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

impl Proxy {
    /// Listens on a free port of 127.0.0.1, and forwards both ways until it is told otherwise. Each connection is one to
    /// `upstream`, which need not be there yet: while it is not, clients are answered with a reset.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (addr, listener) = bound.unwrap_or_else(|why| panic!("the proxy cannot listen: {why}"));
        let (weather, seen) = watch::channel(Weather { fault: Fault::None, cuts: 0 });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, upstream, seen));
        Self { addr, weather, _accepting: accepting }
    }

    /// A proxy in front of the server that `url` names by host and port, and the same URL through it. All else stays as it
    /// is, `{service}` of a PostgreSQL URL included.
    ///
    /// # Panics
    ///
    /// The URL names no host and port, or the host has no address.
    pub async fn in_front_of(url: &str) -> (Self, String) {
        let upstream = place::resolve(url).await.unwrap_or_else(|why| panic!("no proxy in front of a URL: {why:#}"));
        let proxy = Self::start(upstream).await;
        let through = place::replace(url, &proxy.addr.to_string());
        (proxy, through.unwrap_or_else(|why| panic!("no proxy in front of a URL: {why:#}")))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends every connection with a reset, on both sides; new ones are accepted and reset, too.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| *weather = Weather { fault: Fault::Cut, cuts: weather.cuts + 1 });
    }

    /// Everything, in both directions, arrives `by` later than it would; the order stays. What is held back is bounded, to
    /// 64 pieces of at most 16 KiB a direction and connection: beyond that the sender waits.
    pub fn delay(&self, by: Duration) {
        self.set(Fault::Delay(by));
    }

    /// Nothing passes any more, in neither direction, the end of a connection included, and nobody is told: connections
    /// stay open, new ones are accepted, what is sent is swallowed.
    pub fn half_open(&self) {
        self.set(Fault::HalfOpen);
    }

    /// Requests arrive, and what they ask for is done; answers are swallowed. Connections stay open, new ones are made.
    pub fn one_way(&self) {
        self.set(Fault::OneWay);
    }

    /// From now on everything passes. Whatever was delayed goes at once; connections that have lost something are reset.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    fn set(&self, fault: Fault) {
        self.weather.send_modify(|weather| weather.fault = fault);
    }
}

/// Until it is dropped, and then all connections are.
async fn accept(listener: TcpListener, upstream: SocketAddr, weather: watch::Receiver<Weather>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    // A semaphore that nobody closes has no error.
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((client, _)) => {
                let weather = weather.clone();
                connections.spawn(async move {
                    serve(client, upstream, weather).await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Weather { fault, cuts } = *weather.borrow_and_update();
    match fault {
        Fault::Cut => connection::reset(&client),
        Fault::HalfOpen => connection::swallow(client, weather).await,
        Fault::None | Fault::Delay(_) | Fault::OneWay => connection::forward(client, upstream, cuts, weather).await,
    }
}
