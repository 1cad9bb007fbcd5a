//! A wire in front of PostgreSQL that is tripped by a commit: before PostgreSQL hears of it, or after it is done and before the client
//! hears of that. What trips it waits for ever: whoever asked is to be killed meanwhile.
//!
//! Only a commit that is a message of its own is seen (`COMMIT` as a simple query), which is how transactions are ended here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::place;

/// A commit, as it goes to the server: the message of a simple query.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// What is read at once at most, in bytes.
const PIECE: usize = 16 * 1024;

/// On which side of a commit the wire is tripped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server never hears of it.
    Before,
    /// It is done, and the client never hears of that.
    After,
}

/// The wire. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Tripwire {
    armed: Arc<Armed>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Armed(Mutex<Option<Plan>>);

#[derive(Debug)]
struct Plan {
    /// Commits that still pass.
    passing: usize,
    side: Side,
    tripped: oneshot::Sender<()>,
}

impl Tripwire {
    /// A wire in front of the server that `url` names by host and port, and the same URL through it.
    ///
    /// # Panics
    ///
    /// The URL names no host and port, or there is no free port.
    pub async fn in_front_of(url: &str) -> (Self, String) {
        let upstream = place::resolve(url).await.unwrap_or_else(|why| panic!("no wire in front of a URL: {why:#}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (addr, listener) = bound.unwrap_or_else(|why| panic!("the wire cannot listen: {why}"));
        let through = place::replace(url, &addr.to_string());
        let through = through.unwrap_or_else(|why| panic!("no wire in front of a URL: {why:#}"));
        let armed = Arc::new(Armed::default());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, upstream, armed.clone()));
        (Self { armed, _accepting: accepting }, through)
    }

    /// Lets so many commits pass, and is tripped by the next one. Answers once it was.
    pub fn arm(&self, passing: usize, side: Side) -> oneshot::Receiver<()> {
        let (tripped, when) = oneshot::channel();
        *self.armed.lock() = Some(Plan { passing, side, tripped });
        when
    }

    /// Everything passes from now on.
    pub fn disarm(&self) {
        *self.armed.lock() = None;
    }
}

impl Armed {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Plan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit is about to pass: whether it trips the wire, which it does once.
    fn commit(&self) -> Option<Plan> {
        let mut plan = self.lock();
        match plan.as_mut() {
            Some(Plan { passing: 0, .. }) => plan.take(),
            Some(armed) => {
                armed.passing -= 1;
                None
            }
            None => None,
        }
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, armed: Arc<Armed>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let armed = armed.clone();
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(upstream).await {
                // What has left its sender does not wait here for more.
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                forward(client, server, &armed).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Until one side ends; for ever, once the wire was tripped here.
async fn forward(client: TcpStream, server: TcpStream, armed: &Armed) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let deaf = Arc::new(Mutex::new(None));
    let requests = requests(from_client, to_server, armed, deaf.clone());
    let answers = answers(from_server, to_client, deaf);
    tokio::select! {
        _ = requests => {}
        _ = answers => {}
    }
}

/// Who is told, once the server has answered to the commit that trips the wire.
type Deaf = Arc<Mutex<Option<oneshot::Sender<()>>>>;

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, armed: &Armed, deaf: Deaf) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        let piece = &buffer[..length];
        if piece.ends_with(COMMIT)
            && let Some(plan) = armed.commit()
        {
            match plan.side {
                Side::Before => {
                    let _ = plan.tripped.send(());
                    return std::future::pending().await;
                }
                Side::After => {
                    *deaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan.tripped);
                }
            }
        }
        to.write_all(piece).await?;
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: Deaf) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        let tripped = deaf.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tripped) = tripped {
            let _ = tripped.send(());
            return std::future::pending().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
