//! Listening to shard channels: what functions publish while they change something.

use std::sync::Arc;

use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::Message;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinHandle;

use super::{CallError, builder, classify, client_config};
use crate::config::Servers;

/// Messages that may wait to be heard; beyond it the oldest are missed.
pub(super) const WAITING: usize = 4_096;

/// Listens to channels of one Redis Cluster, over one connection to each primary. A message may be lost on its way, as it is while
/// a connection breaks: it is a hint that something has changed, and whoever has to know looks for himself now and then.
#[derive(Clone)]
pub struct Listener {
    client: SubscriberClient,
    messages: Arc<Mutex<broadcast::Receiver<Message>>>,
    /// Listens anew to every channel when a connection has come back.
    keeper: Arc<JoinHandle<()>>,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(String),
    /// Some messages were missed.
    Missed,
}

impl Listener {
    /// Connects.
    ///
    /// # Errors
    /// One sentence: no node can be reached.
    pub async fn connect(servers: &Servers) -> anyhow::Result<Self> {
        let client = builder(&client_config(servers)?).build_subscriber_client()?;
        let messages = Arc::new(Mutex::new(client.message_rx()));
        client.init().await.map_err(|error| super::cannot_connect(servers, &error))?;
        let keeper = Arc::new(client.manage_subscriptions());
        Ok(Self { client, messages, keeper })
    }

    /// Listens to one channel from now on; to do so again changes nothing.
    ///
    /// # Errors
    /// [`CallError`]: try again.
    pub async fn listen(&self, channel: String) -> Result<(), CallError> {
        self.client.ssubscribe(channel).await.map_err(classify)
    }

    /// What is heard next. One at a time.
    pub async fn next(&self) -> Heard {
        match self.messages.lock().await.recv().await {
            Ok(message) => message.value.into_string().map_or(Heard::Missed, Heard::Message),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            // It was closed: nothing will ever be heard.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Ends it.
    pub async fn close(&self) {
        self.keeper.abort();
        // A connection that is already broken has nothing left to end.
        let _ = self.client.quit().await;
    }
}
