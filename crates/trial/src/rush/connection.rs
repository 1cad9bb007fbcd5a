//! The connections of the crowd: a fixed number, spread over the addresses, each with a bound on what is in flight.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::transport::{Channel, Endpoint};

use super::Args;

/// A client of the promotion service.
pub(super) type Client = PromotionServiceClient<Channel>;

/// All connections. A cheap handle.
#[derive(Clone)]
pub(super) struct Connections(Arc<[Connection]>);

struct Connection {
    client: Client,
    /// As many permits as calls may be in flight.
    room: Semaphore,
}

/// The right to make one call.
pub(super) struct Turn<'a> {
    client: Client,
    _permit: Option<SemaphorePermit<'a>>,
}

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(2);

impl Connections {
    /// Opens all of them, and once open each connects again by itself whenever it has been cut.
    pub(super) async fn open(args: &Args) -> anyhow::Result<Self> {
        let addrs = args.addrs.iter().cycle().take(args.connections as usize);
        let connections = try_join_all(addrs.map(|addr| connect(addr, args.in_flight))).await?;
        Ok(Self(connections.into()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A client for a single question, beside the crowd.
    pub(super) fn client(&self, number: usize) -> Client {
        self.0[number % self.0.len()].client.clone()
    }

    /// Waits until connection `number` (any number; they are counted round) has room for one more call.
    pub(super) async fn turn(&self, number: usize) -> Turn<'_> {
        let connection = &self.0[number % self.0.len()];
        // A semaphore that nobody closes has no other error.
        let permit = connection.room.acquire().await.ok();
        Turn { client: connection.client.clone(), _permit: permit }
    }
}

impl Turn<'_> {
    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}

async fn connect(addr: &str, in_flight: u32) -> anyhow::Result<Connection> {
    let endpoint = Endpoint::from_shared(addr.to_owned()).with_context(|| format!("--addr {addr:?} is not a URL"))?;
    let channel = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).connect().await.with_context(|| {
        format!("nothing answers at {addr}: start it with scripts/up, or say with --addr where it is")
    })?;
    Ok(Connection { client: Client::new(channel), room: Semaphore::new(in_flight as usize) })
}
