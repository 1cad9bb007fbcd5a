//! Redis Cluster: lanes of connections, functions loaded by versioned name, and the settings that make a yes durable.
//!
//! A *lane* is one client with one connection to each primary. Calls on one lane to one node are executed in the order
//! in which they were sent, so whoever needs order keeps to one lane.

mod settings;
mod library;
mod node;
mod listener;
mod remedy;

pub use library::Library;
pub use listener::{Heard, Listener};
pub use node::Node;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use fred::clients::Client;
use fred::error::{Error as RedisError, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface as _, FunctionInterface as _};
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server, ServerConfig, TcpConfig, UnresponsiveConfig,
};
use fred::types::{Builder, Value};

use crate::config::Servers;
use crate::error::Error;

/// How long one call may take before its outcome counts as unknown.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between two attempts to reconnect, in milliseconds.
const RECONNECT_MS: u32 = 200;
/// Commands that may wait in one lane; beyond it the lane refuses.
const LANE_BUFFER: usize = 10_000;
/// How long a call is sent again while its slot moves from one node to another, and the pause between.
const MOVING_MOST: Duration = Duration::from_millis(500);
const MOVING_PAUSE: Duration = Duration::from_millis(10);
/// How often one call loads functions that are missing: somebody may flush them again meanwhile.
const LOADS_MOST: u32 = 16;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Redis is out of memory and refused to run the function: nothing happened.
    #[error("Redis is out of memory")]
    Full,
    /// The function, or the way it was called, is wrong. Functions check everything before they write: nothing happened.
    #[error("Redis refused the call")]
    Broken(#[source] RedisError),
    /// The slot is on its way from one node to another, or its node has only just come back, for longer than a call waits for
    /// it: nothing happened.
    #[error("no Redis node serves the slot now")]
    Moving(#[source] RedisError),
    /// A node has come back with settings that would lose what it acknowledges: nothing was sent.
    #[error("a Redis node has settings that lose claims")]
    Unsafe,
    /// Nobody knows whether it happened: the connection broke, or no answer came in time.
    #[error("no answer from Redis")]
    Unknown(#[source] RedisError),
}

/// The lanes to one Redis Cluster.
#[derive(Clone)]
pub struct Redis {
    lanes: Arc<[Lane]>,
}

/// One client with one connection to each primary.
#[derive(Clone)]
pub struct Lane {
    client: Client,
    libraries: Arc<[Library]>,
    /// Set while a node that came back has not been found to be set rightly.
    unsafe_now: Arc<AtomicBool>,
}

impl Redis {
    /// Connects `lanes` lanes, checks the settings of every node against the chosen durability and loads `libraries`
    /// on every primary.
    ///
    /// # Errors
    /// One sentence that says which node cannot be reached or which setting to change.
    pub async fn connect(servers: &Servers, lanes: usize, libraries: &[Library]) -> anyhow::Result<Self> {
        let config = client_config(servers)?;
        let mut connected = Vec::with_capacity(lanes);
        for _ in 0..lanes {
            let client = builder(&config).build()?;
            client.init().await.map_err(|error| cannot_connect(servers, &error))?;
            connected.push(Lane { client, libraries: libraries.into(), unsafe_now: Arc::default() });
        }
        let redis = Self { lanes: connected.into() };
        settings::check(redis.client(), servers).await?;
        for library in libraries {
            library.load_everywhere(redis.client()).await?;
        }
        redis.watch_new_connections(servers);
        Ok(redis)
    }

    /// The nodes of the cluster, replicas and those that are away included.
    ///
    /// # Errors
    /// One sentence: no node answers.
    pub async fn nodes(&self) -> anyhow::Result<Vec<Node>> {
        node::all(self.client()).await
    }

    /// The lane that belongs to `hash`: always the same for the same hash.
    #[must_use]
    pub fn lane(&self, hash: u64) -> &Lane {
        let index = usize::try_from(hash % self.lanes.len() as u64).unwrap_or_default();
        &self.lanes[index]
    }

    /// Ends every lane.
    pub async fn close(&self) {
        for lane in self.lanes.iter() {
            // A lane that is already broken has nothing left to end.
            let _ = lane.client.quit().await;
        }
    }

    fn client(&self) -> &Client {
        &self.lanes[0].client
    }

    /// A node that comes back may come back with other settings.
    fn watch_new_connections(&self, servers: &Servers) {
        let durability = servers.durability;
        for lane in self.lanes.iter() {
            let (client, unsafe_now) = (lane.client.clone(), lane.unsafe_now.clone());
            lane.client.on_reconnect(move |server: Server| {
                let (client, unsafe_now) = (client.clone(), unsafe_now.clone());
                async move {
                    unsafe_now.store(true, Ordering::Release);
                    settings::insist(&client, &server, durability).await;
                    unsafe_now.store(false, Ordering::Release);
                    Ok(())
                }
            });
        }
    }
}

impl Lane {
    /// Calls a function once. A library that is missing on the node (flushed, or a new node) is loaded there, and a slot that
    /// is moving is waited for a moment; the call is then sent again: the first was refused, nothing had happened.
    ///
    /// # Errors
    /// [`CallError`]: says whether anything may have happened.
    pub async fn call(&self, function: &'static str, keys: Vec<String>, args: Vec<Value>) -> Result<Value, CallError> {
        if self.unsafe_now.load(Ordering::Acquire) {
            return Err(CallError::Unsafe);
        }
        let begun = Instant::now();
        let mut loads = 0;
        loop {
            let error = match self.client.fcall(function, keys.clone(), args.clone()).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if is_missing_function(&error) && loads < LOADS_MOST {
                tracing::info!(function, "a Redis node has lost its functions: loading them again");
                for library in self.libraries.iter() {
                    library.load_for(&self.client, keys.first()).await.map_err(CallError::Unknown)?;
                }
                loads += 1;
                continue;
            }
            let error = classify(error);
            if !matches!(error, CallError::Moving(_)) || begun.elapsed() > MOVING_MOST {
                return Err(error);
            }
            tokio::time::sleep(MOVING_PAUSE).await;
        }
    }
}

impl<R> From<CallError> for Error<R> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Full => Self::Overloaded { retry_after: Duration::from_secs(1) },
            CallError::Broken(_) => Self::internal(error),
            CallError::Moving(_) | CallError::Unsafe | CallError::Unknown(_) => Self::unavailable(error),
        }
    }
}

/// What the library says of MOVED and ASK, as it follows no redirection (see `builder`).
const REDIRECTED: &str = "Too many redirections.";

fn is_missing_function(error: &RedisError) -> bool {
    error.details().starts_with("ERR Function not found")
}

/// Sorts an error by what may have happened. What Redis itself has refused did not happen; all else is unknown.
fn classify(error: RedisError) -> CallError {
    let details = error.details();
    if details.starts_with("OOM") {
        CallError::Full
    } else if ["TRYAGAIN", "CLUSTERDOWN"].iter().any(|word| details.starts_with(word)) || details == REDIRECTED {
        CallError::Moving(error)
    } else if details.starts_with("ERR") || *error.kind() == ErrorKind::InvalidArgument {
        CallError::Broken(error)
    } else {
        CallError::Unknown(error)
    }
}

/// One sentence for whoever starts the process.
fn cannot_connect(servers: &Servers, error: &RedisError) -> anyhow::Error {
    anyhow!(remedy::sentence(&format!("Redis at {}", servers.redis_nodes.join(",")), error))
}

fn client_config(servers: &Servers) -> anyhow::Result<Config> {
    let mut nodes = Vec::with_capacity(servers.redis_nodes.len());
    for node in &servers.redis_nodes {
        let (host, port) = node.rsplit_once(':').with_context(|| format!("--redis-nodes: {node} is not host:port"))?;
        let port = port.parse::<u16>().with_context(|| format!("--redis-nodes: {node} is not host:port"))?;
        nodes.push((host.to_owned(), port));
    }
    Ok(Config {
        server: ServerConfig::new_clustered(nodes),
        username: servers.redis_username.clone(),
        password: servers.redis_password.as_ref().map(|secret| secret.expose().to_owned()),
        // A first connection that fails is an answer for the one who starts the process.
        fail_fast: true,
        ..Config::default()
    })
}

fn builder(config: &Config) -> Builder {
    let mut builder = Builder::from_config(config.clone());
    builder
        .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS))
        .set_performance_config(PerformanceConfig {
            default_command_timeout: CALL_TIMEOUT,
            broadcast_channel_capacity: listener::WAITING,
            ..Default::default()
        })
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            // The client library sends a command once: whoever calls knows better whether it may be sent again.
            connection.max_command_attempts = 1;
            // It would end the connection for good where it follows an ASK with no attempt left; a call follows by itself.
            connection.max_redirections = 0;
            connection.max_command_buffer_len = LANE_BUFFER;
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(CONNECT_TIMEOUT), interval: Duration::from_secs(1) };
        });
    builder
}
