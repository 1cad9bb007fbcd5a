//! One batch, from its first sending until nothing about it is unknown.
//!
//! A batch without an answer is sent again, the same batch with the same `not_after`, until a copy comes back. Of
//! repeated copies only a yes counts at once. A no, and the deal's next batch, wait for a copy that Redis itself has seen
//! after `not_after`: from then on no other copy can take anything, so nobody who is told no can hold a coupon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::journal::Tag;
use kit::error::{Error, Fault};
use kit::redis::CallError;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::{Claim, NOT_AFTER_MS, No, OVERLOADED_RETRY, Yes};
use crate::coupon::{Coupon, Grant};
use crate::deal::{DealId, Refusal, Terms, UserId};
use crate::redis::{Answer, Claimed, Deals, Outcome};

/// Pauses between two copies of a batch: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// How long after the first copy a tag that is frozen is asked whether an earlier copy has taken anything, in milliseconds:
/// long after the last of them can have.
const FROZEN_MS: i64 = NOT_AFTER_MS + 2_000;

/// What is left of a batch once nothing about it is unknown.
pub(super) struct Settled {
    /// Whether anything was issued.
    pub(super) issued: bool,
    /// Whether nothing is left of the deal.
    pub(super) sold_out: bool,
    /// Claims that came too late in Redis and took nothing: they are asked anew.
    pub(super) again: Vec<Claim>,
}

/// Sends the batch until nothing about it is unknown, and tells everyone; `is_silent` says that a copy had no answer. A process that is told to end gives up when
/// nobody waits for an answer any more.
pub(super) async fn settle(
    deals: &Deals,
    clock: &Clock,
    deal_id: &DealId,
    batch: Vec<Claim>,
    is_silent: &AtomicBool,
    told: &CancellationToken,
) -> Settled {
    let users: Vec<UserId> = batch.iter().map(|claim| claim.user_id.clone()).collect();
    let trace = batch.iter().find_map(|claim| claim.trace.clone()).unwrap_or_default();
    let tag = Tag::of(deal_id.as_str());
    let open = batch.into_iter().map(Some).collect();
    let mut settling = Settling { deal_id, open, issued: false, clock_is_off: false };
    let begun_ms = clock.own_ms();
    let mut not_after_ms = None;
    let mut pause = PAUSES.0;
    // Whether no earlier copy may have taken anything.
    let mut first = true;
    for copies in 1_u32.. {
        // Where the time of Redis is not known yet, or too far from ours, the batch goes out as one that may take nothing new,
        // and brings it.
        let limit_ms = *not_after_ms.get_or_insert_with(|| clock.now_ms(tag).map_or(0, |now_ms| now_ms + NOT_AFTER_MS));
        let sent_ms = clock.own_ms();
        match deals.claim(deal_id, &users, limit_ms, &trace).await {
            Ok(Answer::Found(claimed)) => {
                settling.clock_is_off = !clock.observe(tag, claimed.now_ms, sent_ms);
                let last = first || claimed.now_ms > limit_ms;
                settling.tell(&claimed, first, last);
                if last {
                    return settling.done(claimed.outcomes.contains(&Outcome::SoldOut));
                }
            }
            // Only of a first copy it is known that no other has taken anything.
            Ok(Answer::Frozen) if first => return settling.refuse(|_| No::Error(Refusal::Frozen.into())),
            Ok(Answer::Missing) if first => return settling.refuse(No::Missing),
            // Nothing is on its way any more: what was taken has long arrived.
            Ok(Answer::Archived) => return settling.refuse(No::Archived),
            Err(CallError::Full) if first => {
                return settling.refuse(|_| No::Error(Error::Overloaded { retry_after: OVERLOADED_RETRY }));
            }
            Err(CallError::Broken(error)) if first => {
                let cause = format!("the claim function failed: {error}");
                return settling.refuse(|_| No::Error(Error::Internal(Fault::new(cause.clone()))));
            }
            Ok(Answer::Frozen | Answer::Missing) | Err(CallError::Broken(_))
                if clock.own_ms() - begun_ms > FROZEN_MS =>
            {
                let unknown = || Fault::new("Redis does not say what became of an earlier copy");
                return settling.refuse(|_| No::Error(Error::Unavailable(unknown())));
            }
            // This copy has taken nothing.
            outcome @ Err(CallError::Moving(_) | CallError::Unsafe) => report(deal_id, copies, &outcome),
            outcome => {
                first = false;
                is_silent.store(true, Ordering::Relaxed);
                report(deal_id, copies, &outcome);
            }
        }
        if told.is_cancelled() && settling.is_abandoned() {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    settling.done(false)
}

/// A batch without an answer is a warning when it begins and now and then while it lasts.
fn report(deal_id: &DealId, copies: u32, outcome: &Result<Answer<Claimed>, CallError>) {
    metrics::counter!("booster_claim_copies_total").increment(1);
    if copies.is_power_of_two() {
        tracing::warn!(deal = %deal_id, copies, ?outcome, "a batch of claims has no answer: sending it again");
    }
}

/// A batch that is being settled: those who were not told yet, in their order.
struct Settling<'a> {
    deal_id: &'a DealId,
    open: Vec<Option<Claim>>,
    issued: bool,
    /// Whether the clocks of Redis and of this process are too far apart for anybody new to win.
    clock_is_off: bool,
}

impl Settling<'_> {
    /// Tells everyone whose outcome is final.
    fn tell(&mut self, claimed: &Claimed, first: bool, last: bool) {
        let terms: Option<Terms> = serde_json::from_str(&claimed.terms).ok();
        for (slot, outcome) in self.open.iter_mut().zip(&claimed.outcomes) {
            let is_yes = matches!(outcome, Outcome::Won(_) | Outcome::Held(_));
            // What a later copy finds held may have been won by an earlier one, whose answer was lost.
            self.issued |= matches!(outcome, Outcome::Won(_)) || (is_yes && !first);
            let is_late = *outcome == Outcome::Late && !self.clock_is_off;
            if is_late || !(is_yes || last) {
                continue;
            }
            if let Some(claim) = slot.take() {
                let answer = match &terms {
                    Some(terms) => answer(self.deal_id, &claim.user_id, terms, claimed, *outcome),
                    None => Err(No::Error(Error::Internal(Fault::new("the terms of the deal cannot be read")))),
                };
                // Whoever asked may be gone: then nobody is told, and asks again.
                let _ = claim.reply.send(answer);
            }
        }
    }

    fn refuse(self, no: impl Fn(UserId) -> No) -> Settled {
        for claim in self.open.into_iter().flatten() {
            let _ = claim.reply.send(Err(no(claim.user_id)));
        }
        Settled { issued: self.issued, sold_out: false, again: Vec::new() }
    }

    fn done(self, sold_out: bool) -> Settled {
        Settled { issued: self.issued, sold_out, again: self.open.into_iter().flatten().collect() }
    }

    /// Whether nobody waits for an answer any more.
    fn is_abandoned(&self) -> bool {
        self.open.iter().flatten().all(|claim| claim.reply.is_closed())
    }
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
        Outcome::Late => return Err(No::Error(Error::Unavailable(Fault::new("the clock of this process is off")))),
    };
    Err(No::Error(refusal.into()))
}
