//! Sold out, answered from memory: the winners of a deal and the round they belong to, read in one step and believed only
//! while the round was confirmed a moment ago. A return or a raise changes the round.

mod refresh;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kit::boot::{Process, Stage};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::coupon::{Coupon, Grant};
use crate::deal::{DealId, Refusal, Terms, UserId};
use crate::redis::{Deals, Held};

/// How long a confirmation is believed.
const BELIEVED: Duration = Duration::from_millis(500);
/// How long before a deal closes memory stops answering: Redis alone knows the instant.
const CLOSING: Duration = Duration::from_secs(2);
/// All sets together, in bytes.
const BYTES_MOST: usize = 64 * 1024 * 1024;
/// Deals that may wait to be remembered.
const WAITING: usize = 1_024;

/// The winners that this process remembers. A cheap handle.
#[derive(Clone)]
pub struct Winners {
    sets: Arc<RwLock<HashMap<DealId, Arc<Set>>>>,
    sold_out: mpsc::Sender<DealId>,
    began: Instant,
}

/// The winners of one deal.
struct Set {
    round: i64,
    sequence: i64,
    closes_ms: i64,
    terms: Terms,
    holders: HashMap<Box<str>, Held>,
    bytes: usize,
    /// When the confirmation was asked for, in milliseconds since `began`, and the time of Redis then.
    confirmed_ms: AtomicU64,
    redis_ms: AtomicU64,
    used_ms: AtomicU64,
}

impl Winners {
    /// Starts to remember.
    #[must_use]
    pub fn start(process: &Process, deals: &Deals) -> Self {
        let (sold_out, waiting) = mpsc::channel(WAITING);
        let winners = Self { sets: Arc::default(), sold_out, began: Instant::now() };
        let refresh = refresh::Refresh::new(winners.clone(), deals.clone());
        process.spawn(Stage::Work, "winners", move |told| refresh.run(waiting, told));
        winners
    }

    /// What a claim of this user would be answered, where memory may say so: the coupon that he holds, or why he has none.
    #[must_use]
    pub fn answer(&self, deal_id: &DealId, user_id: &UserId) -> Option<Result<Coupon, Refusal>> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let set = sets.get(deal_id)?;
        let now_ms = self.now_ms();
        let age = now_ms.saturating_sub(set.confirmed_ms.load(Ordering::Acquire));
        if Duration::from_millis(age) > BELIEVED {
            return None;
        }
        set.used_ms.store(now_ms, Ordering::Relaxed);
        match set.holders.get(user_id.as_str()) {
            Some(Held { returned: true, .. }) => Some(Err(Refusal::CouponReturned)),
            Some(Held { rank, claimed_ms, .. }) => {
                let grant = Grant { rank: *rank, claimed_ms: *claimed_ms };
                Some(Ok(Coupon::issued(deal_id.clone(), user_id.clone(), &set.terms, grant)))
            }
            None if set.is_closing() => None,
            None => Some(Err(Refusal::SoldOut)),
        }
    }

    /// Redis has just said that this deal is sold out: it is worth remembering.
    pub fn sold_out(&self, deal_id: &DealId) {
        if !self.sets.read().unwrap_or_else(PoisonError::into_inner).contains_key(deal_id) {
            // Where too many wait already, Redis goes on answering.
            let _ = self.sold_out.try_send(deal_id.clone());
        }
    }

    /// Something of this deal has just changed in this process.
    pub fn forget(&self, deal_id: &DealId) {
        self.sets.write().unwrap_or_else(PoisonError::into_inner).remove(deal_id);
    }

    /// How many deals this process remembers, how many bytes they take together, and how long ago the oldest confirmation of
    /// one of them was asked for.
    #[must_use]
    pub fn extent(&self) -> (usize, usize, Duration) {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let bytes = sets.values().map(|set| set.bytes).sum();
        let oldest_ms = sets.values().map(|set| set.confirmed_ms.load(Ordering::Acquire)).min();
        let age_ms = oldest_ms.map_or(0, |confirmed_ms| self.now_ms().saturating_sub(confirmed_ms));
        (sets.len(), bytes, Duration::from_millis(age_ms))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Remembers a set; the ones that were used longest ago make room.
    fn keep(&self, deal_id: DealId, set: Set) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let mut bytes: usize = sets.values().map(|set| set.bytes).sum::<usize>() + set.bytes;
        sets.insert(deal_id, Arc::new(set));
        while bytes > BYTES_MOST {
            let oldest = sets.iter().min_by_key(|(_, set)| set.used_ms.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(deal_id, _)| deal_id.clone()) else { break };
            bytes -= sets.remove(&oldest).map_or(0, |set| set.bytes);
        }
    }
}

impl Set {
    fn is_closing(&self) -> bool {
        let closing = u64::try_from(CLOSING.as_millis()).unwrap_or_default();
        let closes = u64::try_from(self.closes_ms).unwrap_or_default();
        self.redis_ms.load(Ordering::Relaxed) + closing >= closes
    }
}
