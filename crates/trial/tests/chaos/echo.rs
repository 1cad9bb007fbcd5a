//! A server that says back what it hears, and tells the test of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What happened to the server, whichever connection it was.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Heard(String),
    /// A client has nothing more to say. It is answered with a last word.
    Ended,
    /// A connection was reset.
    Gone,
}

pub struct Echo {
    addr: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    tasks: JoinSet<()>,
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, tell.clone()));
            }
        });
        Self { addr, events, tasks }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub async fn next(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.expect("an event").unwrap()
    }

    pub fn is_silent(&self) -> bool {
        self.events.is_empty()
    }

    /// Nobody listens at its address any more.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn serve(mut stream: TcpStream, tell: mpsc::UnboundedSender<Event>) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let event = match stream.read(&mut bytes).await {
            Ok(0) => Event::Ended,
            Ok(length) => Event::Heard(String::from_utf8_lossy(&bytes[..length]).into_owned()),
            Err(_) => Event::Gone,
        };
        let answer = match &event {
            Event::Heard(words) => words.clone(),
            Event::Ended => "bye".to_owned(),
            Event::Gone => String::new(),
        };
        let is_last = !matches!(event, Event::Heard(_));
        // The test may be over.
        let _ = tell.send(event);
        if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}
