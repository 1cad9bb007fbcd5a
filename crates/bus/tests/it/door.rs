//! A door before a server: what goes through it can be cut in the middle, held back, or turned away, and the server itself,
//! which others use too, notices nothing.
#![expect(clippy::disallowed_methods, reason = "the connections of a door belong to the test, which has no process")]

use std::net::SocketAddr;
use std::time::Duration;

use kit::config::Servers;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are passed on at once, where the protocol does not matter.
const CHUNK: usize = 64 * 1024;
/// How long Kafka may take to say who it is.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How the door stands.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Nobody comes through.
    shut: bool,
    /// Everything stays connected, and nothing is passed on.
    silent: bool,
    /// Counts how often everything that was connected was cut.
    cuts: u64,
}

#[derive(Debug)]
pub struct Door {
    port: u16,
    state: watch::Sender<State>,
}

/// Bytes in a server's answers, and as many others that take their place.
type Change = (Vec<u8>, Vec<u8>);

impl Door {
    /// A door before a TCP server on this host.
    pub async fn before(port: u16) -> Self {
        Self::open_to(port, |_| Vec::new()).await
    }

    /// A door before Kafka.
    pub async fn before_kafka(servers: &Servers) -> Self {
        Self::before_kafka_with(servers, &[]).await
    }

    /// A door before Kafka that damages what comes through: the bytes of each pair, which are as long, are exchanged.
    pub async fn before_kafka_with(servers: &Servers, damages: &[(&[u8], &[u8])]) -> Self {
        // A broker tells its clients where to go: its answers are changed to lead through the door.
        let config = crate::kafka::client(servers);
        let ask = move || {
            let client: BaseConsumer = config.create().unwrap();
            let metadata = client.fetch_metadata(None, TIMEOUT).unwrap();
            let [broker] = metadata.brokers() else { panic!("there is one broker on this host") };
            (broker.host().to_owned(), u16::try_from(broker.port()).unwrap())
        };
        let (host, port) = tokio::task::spawn_blocking(ask).await.unwrap();
        assert!(["127.0.0.1", "localhost"].contains(&host.as_str()), "{host} is not this host");
        let name = move |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
        let damages = damages.iter().map(|(old, new)| (old.to_vec(), new.to_vec()));
        Self::open_to(port, |own| damages.chain([(name(port), name(own))]).collect()).await
    }

    async fn open_to(target: u16, changes: impl FnOnce(u16) -> Vec<Change>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let changes = changes(port);
        let (state, seen) = watch::channel(State::default());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !seen.borrow().shut {
                    tokio::spawn(pass(client, target, seen.clone(), changes.clone()));
                }
            }
        });
        Self { port, state }
    }

    /// Where it is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, as Kafka's clients are told.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Breaks what is connected; whoever comes again is let in.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Breaks what is connected, and lets nobody in until it is opened.
    pub fn shut(&self) {
        self.state.send_modify(|state| (state.cuts, state.shut) = (state.cuts + 1, true));
    }

    /// Passes nothing on any more, in either direction; nobody is told.
    pub fn silence(&self) {
        self.state.send_modify(|state| state.silent = true);
    }

    /// Lets everybody in again.
    pub fn open(&self) {
        self.state.send_modify(|state| (state.shut, state.silent) = (false, false));
    }
}

async fn pass(client: TcpStream, target: u16, mut state: watch::Receiver<State>, changes: Vec<Change>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cuts = state.borrow_and_update().cuts;
    tokio::select! {
        _ = forward(from_client, to_server, state.clone()) => {}
        _ = answer(from_server, to_client, state.clone(), changes) => {}
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn answer(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    state: watch::Receiver<State>,
    changes: Vec<Change>,
) -> std::io::Result<()> {
    if changes.is_empty() { forward(from, to, state).await } else { forward_changed(from, to, state, &changes).await }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await;
        heard(&mut state).await;
        match length? {
            0 => return Ok(()),
            length => to.write_all(&chunk[..length]).await?,
        }
    }
}

/// Kafka's answers, one whole frame after the other, and what is changed in them.
async fn forward_changed(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    changes: &[Change],
) -> std::io::Result<()> {
    loop {
        let frame = frame(&mut from).await;
        heard(&mut state).await;
        let mut frame = frame?;
        for (old, new) in changes {
            let found = frame.windows(old.len()).enumerate().filter(|(_, window)| window == old);
            for at in found.map(|(at, _)| at).collect::<Vec<_>>() {
                frame[at..at + new.len()].copy_from_slice(new);
            }
        }
        to.write_all(&frame).await?;
    }
}

/// One answer: its length in four bytes, and as many bytes.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(frame.len() + usize::try_from(length).unwrap_or_default(), 0);
    from.read_exact(&mut frame[size_of::<u32>()..]).await?;
    Ok(frame)
}

/// Waits while the door is silent: nothing is passed on then, and that a connection has ended neither.
async fn heard(state: &mut watch::Receiver<State>) {
    // A door that is gone ends the connection by itself.
    let _ = state.wait_for(|state| !state.silent).await;
}
