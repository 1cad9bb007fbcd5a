//! The client of every case: some connections, some calls in flight on each, every answer checked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use proto::promotion::v1::ClaimCouponRequest;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use trial::bench::Caller;

pub type Client = PromotionServiceClient<Channel>;

/// Connections, and calls in flight on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub connections: usize,
    pub in_flight: usize,
}

/// A rush.
pub const RUSH: Load = Load { connections: 4, in_flight: 64 };
/// A busy hour.
pub const BUSY: Load = Load { connections: 4, in_flight: 16 };
/// One call at a time: what one call costs when nothing is shared.
pub const ALONE: Load = Load { connections: 1, in_flight: 1 };

/// How long a caller who was refused for lack of room stays away.
const AWAY: Duration = Duration::from_millis(100);

/// Who claims next.
#[derive(Debug, Clone)]
pub enum Users {
    /// Somebody who never claimed before.
    New(Arc<AtomicU64>),
    /// One of the first so many, in turn.
    Known { next: Arc<AtomicU64>, number: u64 },
}

/// What every answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Of the empty server.
    Nothing,
    /// A coupon that was not held before.
    Coupon,
    /// The same, or that there is no room now.
    CouponIfRoom,
    /// A coupon that was held before.
    Held,
    /// That nothing is left.
    SoldOut,
}

/// Claims again and again, over one connection.
#[derive(Clone)]
pub struct Claimer {
    pub client: Client,
    pub deal_id: String,
    pub users: Users,
    pub expected: Expected,
    /// Counts the coupons.
    pub won: Arc<AtomicU64>,
}

impl Caller for Claimer {
    async fn call(&mut self) -> anyhow::Result<()> {
        let request =
            ClaimCouponRequest { deal_id: self.deal_id.clone(), user_id: self.users.next(), pass: String::new() };
        let answer = self.client.claim_coupon(request).await;
        let answer = answer.map(|answer| answer.into_inner());
        match (self.expected, &answer) {
            (Expected::Nothing, Ok(answer)) if answer.coupon.is_none() => {}
            (Expected::Coupon | Expected::CouponIfRoom, Ok(answer))
                if answer.coupon.is_some() && !answer.already_held =>
            {
                self.won.fetch_add(1, Ordering::Relaxed);
            }
            (Expected::Held, Ok(answer)) if answer.coupon.is_some() && answer.already_held => {}
            (Expected::SoldOut, Err(status)) if status.code() == Code::ResourceExhausted => {}
            (Expected::CouponIfRoom, Err(status)) if is_lack_of_room(status) => tokio::time::sleep(AWAY).await,
            (expected, answer) => bail!("expected {expected:?} of {}: {answer:?}", self.deal_id),
        }
        Ok(())
    }
}

fn is_lack_of_room(status: &Status) -> bool {
    status.code() == Code::Unavailable && !status.details().is_empty()
}

impl Users {
    pub fn next(&self) -> String {
        let number = match self {
            Self::New(next) => next.fetch_add(1, Ordering::Relaxed),
            Self::Known { next, number } => next.fetch_add(1, Ordering::Relaxed) % number,
        };
        name(number)
    }
}

/// A user's name: 12 characters.
pub fn name(number: u64) -> String {
    format!("user{number:08}")
}

/// Connects as many clients as the load has connections.
pub async fn connect(url: &str, load: Load) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
        clients.push(Client::new(endpoint.connect().await.with_context(|| format!("nothing answers at {url}"))?));
    }
    Ok(clients)
}

impl Load {
    /// How many call at once.
    pub fn callers(self) -> usize {
        self.connections * self.in_flight
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.connections, self.in_flight)
    }
}
