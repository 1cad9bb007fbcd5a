//! One batch, from its first sending until nothing about it is unknown.
//!
//! A batch without an answer is sent again, the same batch with the same `not_after`, until a copy comes back. Of
//! repeated copies only a yes counts at once. A no, and the deal's next batch, wait for a copy that Redis itself has seen
//! after `not_after`: from then on no other copy can take anything, so nobody who is told no can hold a coupon.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kit::error::{Error, Fault};
use kit::redis::CallError;
use tokio_util::sync::CancellationToken;

use super::{Claim, NOT_AFTER, No, OVERLOADED_RETRY, Yes};
use crate::coupon::{Coupon, Grant};
use crate::deal::{DealId, Refusal, Terms, UserId};
use crate::redis::{Answer, Claimed, Deals, Outcome};

/// Pauses between two copies of a batch: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// What is left of a batch once nothing about it is unknown.
pub(super) struct Settled {
    /// Whether anything was issued.
    pub(super) issued: bool,
    /// Whether nothing is left of the deal.
    pub(super) sold_out: bool,
    /// Claims that came too late in Redis and took nothing: they are asked anew.
    pub(super) again: Vec<Claim>,
}

/// How far the clock of Redis is ahead of ours, in milliseconds, as its last answer showed.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    fn now_ms(&self) -> i64 {
        own_ms() + self.0.load(Ordering::Relaxed)
    }

    fn observe(&self, redis_ms: i64) {
        self.0.store(redis_ms - own_ms(), Ordering::Relaxed);
    }
}

/// Sends the batch until nothing about it is unknown, and tells everyone. A process that is told to end gives up when
/// nobody waits for an answer any more.
pub(super) async fn settle(
    deals: &Deals,
    clock: &Clock,
    deal_id: &DealId,
    batch: Vec<Claim>,
    told: &CancellationToken,
) -> Settled {
    let users: Vec<UserId> = batch.iter().map(|claim| claim.user_id.clone()).collect();
    let trace = batch.iter().find_map(|claim| claim.trace.clone()).unwrap_or_default();
    let not_after_ms = clock.now_ms() + i64::try_from(NOT_AFTER.as_millis()).unwrap_or(i64::MAX);
    let mut open: Vec<Option<Claim>> = batch.into_iter().map(Some).collect();
    let mut issued = false;
    let mut copies = 0;
    let mut pause = PAUSES.0;
    loop {
        let answer = deals.claim(deal_id, &users, not_after_ms, &trace).await;
        copies += 1;
        match answer {
            Ok(Answer::Found(claimed)) => {
                clock.observe(claimed.now_ms);
                let last = copies == 1 || claimed.now_ms > not_after_ms;
                issued |= tell(deal_id, &claimed, &mut open, last);
                if last {
                    let sold_out = claimed.outcomes.contains(&Outcome::SoldOut);
                    return Settled { issued, sold_out, again: open.into_iter().flatten().collect() };
                }
            }
            // No copy of this batch has taken anything, and none will: the tag is closed, or the deal not there.
            Ok(Answer::Frozen) => return refuse(open, issued, || No::Error(Refusal::Frozen.into())),
            Ok(Answer::Missing) => return refuse(open, issued, || No::Missing),
            Err(CallError::Full) if copies == 1 => {
                return refuse(open, issued, || No::Error(Error::Overloaded { retry_after: OVERLOADED_RETRY }));
            }
            Err(CallError::Broken(error)) if copies == 1 => {
                let cause = format!("the claim function failed: {error}");
                return refuse(open, issued, || No::Error(Error::Internal(Fault::new(cause.clone()))));
            }
            Err(error) => {
                if copies == 1 {
                    tracing::warn!(deal = %deal_id, claims = users.len(), %error, "a batch of claims has no answer: sending it again");
                }
                metrics::counter!("booster_claim_copies_total").increment(1);
            }
        }
        if told.is_cancelled() && open.iter().flatten().all(|claim| claim.reply.is_closed()) {
            return Settled { issued, sold_out: false, again: Vec::new() };
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Tells everyone whose outcome is final. Returns whether anything was issued.
fn tell(deal_id: &DealId, claimed: &Claimed, open: &mut [Option<Claim>], last: bool) -> bool {
    let terms: Option<Terms> = serde_json::from_str(&claimed.terms).ok();
    let mut issued = false;
    for (slot, outcome) in open.iter_mut().zip(&claimed.outcomes) {
        issued |= matches!(outcome, Outcome::Won(_));
        let is_yes = matches!(outcome, Outcome::Won(_) | Outcome::Held(_));
        if *outcome == Outcome::Late || !(is_yes || last) {
            continue;
        }
        if let Some(claim) = slot.take() {
            let answer = match &terms {
                Some(terms) => answer(deal_id, &claim.user_id, terms, claimed, *outcome),
                None => Err(No::Error(Error::Internal(Fault::new("the terms of the deal cannot be read")))),
            };
            // Whoever asked may be gone: then nobody is told, and asks again.
            let _ = claim.reply.send(answer);
        }
    }
    issued
}

fn answer(deal_id: &DealId, user: &UserId, terms: &Terms, claimed: &Claimed, outcome: Outcome) -> Result<Yes, No> {
    let yes = |grant: Grant, already_held: bool| {
        Ok(Yes { coupon: Coupon::issued(deal_id.clone(), user.clone(), terms, grant), already_held })
    };
    let refusal = match outcome {
        Outcome::Won(grant) => return yes(grant, false),
        Outcome::Held(grant) => return yes(grant, true),
        Outcome::Returned(_) => Refusal::CouponReturned,
        Outcome::SoldOut => Refusal::SoldOut,
        Outcome::NotOpen => Refusal::NotOpen {
            opens_in: Duration::from_millis(u64::try_from(claimed.opens_ms - claimed.now_ms).unwrap_or_default()),
        },
        Outcome::Closed => Refusal::Closed,
        Outcome::Frozen => Refusal::Frozen,
        Outcome::PassRequired => Refusal::PassRequired,
        Outcome::Full => return Err(No::Error(Error::Overloaded { retry_after: OVERLOADED_RETRY })),
        Outcome::Late => return Err(No::Error(Error::Unavailable(Fault::new("the claim came too late")))),
    };
    Err(No::Error(refusal.into()))
}

fn refuse(open: Vec<Option<Claim>>, issued: bool, no: impl Fn() -> No) -> Settled {
    for claim in open.into_iter().flatten() {
        let _ = claim.reply.send(Err(no()));
    }
    Settled { issued, sold_out: false, again: Vec::new() }
}

fn own_ms() -> i64 {
    kit::clock::to_millis(kit::clock::now())
}
