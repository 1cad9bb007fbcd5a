//! Claiming: a claim joins the batch of its deal, one call carries the batch, everyone is told his own outcome.
//!
//! Batches are natural: whatever queued while the last call was in flight, at most 256, without a timer. One batch
//! is in flight for each deal, so that inside this process no later arrival wins over an earlier one.

mod lane;
mod batch;
mod clock;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::journal::Tag;
use bus::relay::journal::Bell;
use kit::boot::{Process, Stage};
use kit::error::{Error, Fault};
use kit::grpc::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::coupon::{Coupon, State};
use crate::deal::{DealId, Refusal, UserId};
use crate::postgres;
use crate::postgres::deal::Fate;
use crate::redis::Deals;
use crate::winners::Winners;

/// Claims in one call, at most: Lua cannot unpack many thousands of values.
const BATCH: usize = 256;
/// Lanes of a process; each has its own connection to each primary, and a deal is always on the same one.
pub const LANES: usize = 4;
/// Claims that may wait for one lane; beyond it they are refused.
const WAITING: usize = 16_384;
/// How long after it was sent a batch may still take something new, in milliseconds.
const NOT_AFTER_MS: i64 = 500;
/// How long a claim may wait before it is sent: with [`NOT_AFTER_MS`] it stays below a second, after which "not found" is final.
const WAIT_MOST: Duration = Duration::from_millis(400);
/// How often those who have waited too long, or are gone, are cleared out.
const CLEAR_EVERY: Duration = Duration::from_millis(100);
/// How long it is remembered that there is no such deal.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// How many such deals are remembered.
const UNKNOWN_MOST: usize = 10_000;
/// When to come back after a refusal for lack of room.
const OVERLOADED_RETRY: Duration = Duration::from_millis(500);

/// A claim that was answered with a coupon.
#[derive(Debug)]
pub struct Yes {
    /// The coupon as it was issued.
    pub coupon: Coupon,
    /// Whether the user held it before.
    pub already_held: bool,
}

/// Takes claims. A cheap handle.
#[derive(Clone)]
pub struct Claims {
    lanes: Arc<[Entrance]>,
    winners: Winners,
    unknown: Arc<Mutex<HashMap<DealId, Instant>>>,
    /// Questions to PostgreSQL about deals that Redis does not have, one at a time.
    asking: Arc<tokio::sync::Mutex<()>>,
    pool: kit::postgres::Pool,
}

/// The way into a lane, with as many places as may wait there.
struct Entrance {
    claims: mpsc::Sender<Claim>,
    places: Arc<Semaphore>,
}

/// One claim that waits.
struct Claim {
    deal_id: DealId,
    user_id: UserId,
    arrived: Instant,
    deadline: Deadline,
    trace: Option<String>,
    reply: oneshot::Sender<Result<Yes, No>>,
    /// Given back when the claim is answered or dropped.
    _place: OwnedSemaphorePermit,
}

/// Why a claim has no coupon.
enum No {
    Error(Error<Refusal>),
    /// Redis has no such deal; PostgreSQL knows whether there is one, and what this user has of it.
    Missing(UserId),
    /// Every coupon of the deal is over; PostgreSQL knows whether this user holds one.
    Archived(UserId),
}

impl Claims {
    /// Starts the lanes.
    pub fn start(process: &Process, deals: &Deals, pool: &kit::postgres::Pool, bell: &Bell, winners: &Winners) -> Self {
        let mut lanes = Vec::with_capacity(LANES);
        for _ in 0..LANES {
            let (sender, receiver) = mpsc::channel(WAITING);
            let lane = lane::Lane::new(deals.clone(), bell.clone(), winners.clone());
            process.spawn(Stage::Work, "claims", move |told| lane.run(receiver, told));
            lanes.push(Entrance { claims: sender, places: Arc::new(Semaphore::new(WAITING)) });
        }
        Self {
            lanes: lanes.into(),
            winners: winners.clone(),
            unknown: Arc::default(),
            asking: Arc::default(),
            pool: pool.clone(),
        }
    }

    /// Claims one coupon. Dropping the future does not undo the claim.
    ///
    /// # Errors
    /// A refusal; [`Error::Overloaded`] where too many wait; [`Error::Unavailable`] where the outcome is unknown.
    pub async fn claim(&self, deal_id: DealId, user_id: UserId, deadline: Deadline) -> Result<Yes, Error<Refusal>> {
        if let Some(answer) = self.winners.answer(&deal_id, &user_id) {
            metrics::counter!("booster_claims_from_memory_total").increment(1);
            return Ok(Yes { coupon: answer?, already_held: true });
        }
        if self.is_unknown(&deal_id) {
            return Err(Refusal::DealNotFound.into());
        }
        let lane = &self.lanes[usize::from(Tag::of(deal_id.as_str()).number()) % self.lanes.len()];
        let Ok(place) = lane.places.clone().try_acquire_owned() else {
            return Err(Error::Overloaded { retry_after: OVERLOADED_RETRY });
        };
        let (reply, answer) = oneshot::channel();
        let trace = kit::telemetry::traceparent();
        let arrived = Instant::now();
        let claim = Claim { deal_id: deal_id.clone(), user_id, arrived, deadline, trace, reply, _place: place };
        if lane.claims.try_send(claim).is_err() {
            return Err(Error::Overloaded { retry_after: OVERLOADED_RETRY });
        }
        match answer.await {
            Ok(Ok(yes)) => Ok(yes),
            Ok(Err(No::Error(error))) => Err(error),
            Ok(Err(No::Missing(user_id))) => self.missing(deal_id, user_id).await,
            Ok(Err(No::Archived(user_id))) => self.archived(deal_id, user_id).await,
            Err(_) => Err(Error::Unavailable(Fault::new("the lane ended before it had an answer"))),
        }
    }

    /// A deal that Redis does not have: never made, not there yet, lost, or lost after it was archived.
    async fn missing(&self, deal_id: DealId, user_id: UserId) -> Result<Yes, Error<Refusal>> {
        let fate = {
            // A flood of claims for one such deal asks once, and takes no connection from anybody else.
            let _alone = self.asking.lock().await;
            if self.is_unknown(&deal_id) {
                return Err(Refusal::DealNotFound.into());
            }
            // Who cannot look must not say that there is none.
            postgres::deal::fate(&self.pool, &deal_id).await?
        };
        match fate {
            Fate::Made => Err(Refusal::Frozen.into()),
            Fate::Archived => self.archived(deal_id, user_id).await,
            Fate::Unknown => {
                self.remember_unknown(deal_id);
                Err(Refusal::DealNotFound.into())
            }
        }
    }

    /// Of a deal that was archived nobody new can win; who holds a coupon is answered as ever.
    async fn archived(&self, deal_id: DealId, user_id: UserId) -> Result<Yes, Error<Refusal>> {
        // One question at a time: a flood takes no connection from anybody else.
        let _alone = self.asking.lock().await;
        match postgres::coupon::of_holder(&self.pool, &deal_id, &user_id).await? {
            None => Err(Refusal::Closed.into()),
            Some(Coupon { state: State::Returned, .. }) => Err(Refusal::CouponReturned.into()),
            Some(coupon) => {
                Ok(Yes { coupon: Coupon { state: State::Issued, order_id: None, ..coupon }, already_held: true })
            }
        }
    }

    /// The deal has just been made, or is about to be.
    pub fn know(&self, deal_id: &DealId) {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).remove(deal_id);
    }

    fn is_unknown(&self, deal_id: &DealId) -> bool {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        !unknown.is_empty() && unknown.get(deal_id).is_some_and(|since| since.elapsed() < UNKNOWN_FOR)
    }

    fn remember_unknown(&self, deal_id: DealId) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() >= UNKNOWN_MOST {
            // A second's worth of memory: it is quickly there again.
            unknown.clear();
        }
        unknown.insert(deal_id, Instant::now());
    }
}
