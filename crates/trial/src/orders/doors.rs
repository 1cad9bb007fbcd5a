//! The ways to the services: a fixed number of connections to each, spread over its addresses, each with a bound on what is in flight.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::transport::{Channel, Endpoint};

use super::Args;

/// Where each service answers.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) promotion: Vec<String>,
    pub(super) order: Vec<String>,
    pub(super) point: Vec<String>,
    pub(super) payment: Vec<String>,
    pub(super) ranking: Vec<String>,
}

/// All of them. A cheap handle.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) promotion: Way,
    pub(super) order: Way,
    /// Streams of orders have connections of their own, so that they take nobody's turn.
    pub(super) watch: Way,
    pub(super) point: Way,
    pub(super) payment: Way,
    pub(super) ranking: Way,
}

/// The connections to one service. A cheap handle.
#[derive(Clone)]
pub(super) struct Way(Arc<[Connection]>);

struct Connection {
    channel: Channel,
    /// As many permits as calls may be in flight.
    room: Semaphore,
}

/// The right to make one call.
pub(super) struct Turn<'a> {
    channel: Channel,
    _permit: Option<SemaphorePermit<'a>>,
}

/// Connections to a service that is not under load, for each of its addresses.
const FEW: usize = 2;
/// Streams on one connection, below what a server allows.
const STREAMS: usize = 100;
/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(2);

impl Addresses {
    /// One process answers for everybody, or several do.
    pub(super) fn all(addrs: &[String]) -> Self {
        let addrs = || addrs.to_vec();
        Self { promotion: addrs(), order: addrs(), point: addrs(), payment: addrs(), ranking: addrs() }
    }
}

impl Doors {
    /// Opens all of them, and once open each connects again by itself whenever it has been cut.
    pub(super) async fn open(addresses: &Addresses, args: &Args) -> anyhow::Result<Self> {
        let (many, in_flight) = (args.connections as usize, args.in_flight as usize);
        Ok(Self {
            promotion: Way::open(&addresses.promotion, FEW * addresses.promotion.len(), in_flight).await?,
            order: Way::open(&addresses.order, many.max(addresses.order.len()), in_flight).await?,
            watch: Way::open(&addresses.order, many.max(addresses.order.len()), STREAMS).await?,
            point: Way::open(&addresses.point, FEW * addresses.point.len(), in_flight).await?,
            payment: Way::open(&addresses.payment, FEW * addresses.payment.len(), in_flight).await?,
            ranking: Way::open(&addresses.ranking, FEW * addresses.ranking.len(), in_flight).await?,
        })
    }
}

impl Way {
    async fn open(addrs: &[String], connections: usize, in_flight: usize) -> anyhow::Result<Self> {
        let addrs = addrs.iter().cycle().take(connections);
        let connections = try_join_all(addrs.map(|addr| connect(addr, in_flight))).await?;
        Ok(Self(connections.into()))
    }

    /// Calls that may be in flight on all connections together.
    pub(super) fn capacity(&self) -> usize {
        self.0.iter().map(|connection| connection.room.available_permits()).sum::<usize>().max(1)
    }

    /// Waits until connection `number` (any number; they are counted round) has room for one more call.
    pub(super) async fn turn(&self, number: usize) -> Turn<'_> {
        let connection = &self.0[number % self.0.len()];
        // A semaphore that nobody closes has no other error.
        let permit = connection.room.acquire().await.ok();
        Turn { channel: connection.channel.clone(), _permit: permit }
    }
}

impl Turn<'_> {
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

async fn connect(addr: &str, in_flight: usize) -> anyhow::Result<Connection> {
    let endpoint = Endpoint::from_shared(addr.to_owned()).with_context(|| format!("--addr {addr:?} is not a URL"))?;
    let channel = endpoint.connect_timeout(CONNECT).tcp_nodelay(true).connect().await.with_context(|| {
        format!("nothing answers at {addr}: start it with scripts/up, or say with --addr where it is")
    })?;
    Ok(Connection { channel, room: Semaphore::new(in_flight) })
}
