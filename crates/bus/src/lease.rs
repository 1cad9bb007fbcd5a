//! Who relays: one process at a time. The lease is an advisory lock of a session that nothing else uses; PostgreSQL ends
//! a session that has fallen silent, so that a paused holder loses it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::sync::watch;

use crate::journal::{Position, Tag};
use crate::postgres::{journal, lease};

/// How often the holder shows that it lives.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// How long the holder waits for an answer before it believes that it has lost the lease: shorter than PostgreSQL's own
/// patience, which is five seconds.
const ANSWER: Duration = Duration::from_secs(3);
/// How often the others try to take it.
const TRY: Duration = Duration::from_secs(1);

/// The lease, held.
pub(crate) struct Lease {
    connection: PgConnection,
    token: i64,
    copying: Duty,
}

impl Lease {
    /// Waits until nobody else holds `name`.
    pub(crate) async fn take(options: &PgConnectOptions, name: &str, holder: &str) -> anyhow::Result<Self> {
        let mut connection = open(options).await?;
        loop {
            if let Some(token) = timely(async { Ok(lease::take(&mut connection, name, holder).await?) }).await? {
                tracing::info!(lease = name, token, "this process relays now");
                return Ok(Self { connection, token, copying: Duty::new(COPYING) });
            }
            tokio::time::sleep(TRY).await;
        }
    }

    /// Whether this session copies what is parked.
    pub(crate) fn copies(&self) -> watch::Receiver<bool> {
        self.copying.held()
    }

    /// Beats, and writes down the marks, until the lease is lost; says how.
    pub(crate) async fn keep(&mut self, marks: &Mutex<HashMap<Tag, Position>>) -> anyhow::Error {
        loop {
            if let Err(error) = self.copying.take(&mut self.connection).await {
                return error.context("the lease is lost");
            }
            tokio::time::sleep(BEAT).await;
            let changed = match marks.lock() {
                Ok(mut marks) => std::mem::take(&mut *marks),
                Err(_) => return anyhow::anyhow!("the marks are poisoned"),
            };
            let outcome = timely(async {
                if changed.is_empty() {
                    lease::beat(&mut self.connection).await?;
                } else {
                    journal::mark(&mut self.connection, self.token, &changed).await?;
                }
                Ok(())
            });
            if let Err(error) = outcome.await {
                return error.context("the lease is lost");
            }
        }
    }
}

/// The duty to copy what is parked to its dead letter topic.
pub(crate) const COPYING: &str = "dead letters";

/// What one of all sessions that relay for a service does for all of them, journals and outbox alike: whoever was the first to take
/// the lock of its name, until that session ends.
pub(crate) struct Duty {
    name: &'static str,
    holds: watch::Sender<bool>,
}

impl Duty {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, holds: watch::Sender::new(false) }
    }

    /// Takes it where nobody has it.
    pub(crate) async fn take(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let held = *self.holds.borrow() || timely(async { Ok(lease::lock(connection, self.name).await?) }).await?;
        self.holds.send_if_modified(|holds| std::mem::replace(holds, held) != held);
        Ok(())
    }

    /// Whether it is held.
    pub(crate) fn held(&self) -> watch::Receiver<bool> {
        self.holds.subscribe()
    }
}

/// Opens a connection whose session PostgreSQL ends when it falls silent, with all that is locked by it.
pub(crate) async fn open(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let options = options.clone().options([
        ("idle_session_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("statement_timeout", "3s"),
        ("tcp_keepalives_idle", "2"),
        ("tcp_keepalives_interval", "1"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "5000"),
    ]);
    timely(async { Ok(options.connect().await?) }).await.context("cannot open the connection of the lease")
}

/// Without an answer in time the session is believed to be lost: before PostgreSQL can have given what it held to somebody else.
pub(crate) async fn timely<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ANSWER, work).await.context("PostgreSQL did not answer in time")?
}
