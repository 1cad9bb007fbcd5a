//! A lane: the queues of its deals, and one batch in flight for each of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bus::journal::Tag;
use bus::relay::journal::Bell;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kit::error::{Error, Fault};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{self, Settled};
use super::clock::Clock;
use super::{BATCH, CLEAR_EVERY, Claim, No, OVERLOADED_RETRY, WAIT_MOST};
use crate::deal::DealId;
use crate::redis::Deals;
use crate::winners::Winners;

pub(super) struct Lane {
    deals: Deals,
    bell: Bell,
    winners: Winners,
    clock: Clock,
    queues: HashMap<DealId, Queue>,
    in_flight: FuturesUnordered<BoxFuture<'static, (DealId, Settled)>>,
}

/// Who waits for one deal, in the order of arrival, and whether a batch is in flight for it.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Claim>,
    busy: bool,
    /// Whether the batch in flight has had no answer.
    is_silent: Arc<AtomicBool>,
}

impl Lane {
    pub(super) fn new(deals: Deals, bell: Bell, winners: Winners) -> Self {
        Self {
            deals,
            bell,
            winners,
            clock: Clock::default(),
            queues: HashMap::new(),
            in_flight: FuturesUnordered::new(),
        }
    }

    /// Takes claims until told to stop; then those that are here are answered first.
    pub(super) async fn run(
        mut self,
        mut claims: mpsc::Receiver<Claim>,
        told: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut clear = tokio::time::interval(CLEAR_EVERY);
        clear.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some((deal_id, settled)) = self.in_flight.next() => self.settle(&deal_id, settled, &told),
                claim = claims.recv() => match claim {
                    Some(claim) => self.queue(claim, &mut claims, &told),
                    None => return Ok(()),
                },
                _ = clear.tick() => self.clear(),
                () = told.cancelled(), if self.in_flight.is_empty() && claims.is_empty() => return Ok(()),
            }
        }
    }

    /// Queues what has arrived; whoever's deal has nothing in flight goes at once.
    fn queue(&mut self, claim: Claim, claims: &mut mpsc::Receiver<Claim>, told: &CancellationToken) {
        let mut next = Some(claim);
        let mut idle = Vec::new();
        while let Some(claim) = next {
            if !self.queues.contains_key(&claim.deal_id) {
                self.queues.insert(claim.deal_id.clone(), Queue::default());
            }
            if let Some(queue) = self.queues.get_mut(&claim.deal_id) {
                if !queue.busy && queue.waiting.is_empty() {
                    idle.push(claim.deal_id.clone());
                }
                queue.waiting.push_back(claim);
            }
            next = claims.try_recv().ok();
        }
        for deal_id in idle {
            self.send(deal_id, told);
        }
    }

    /// Sends the next batch of a deal; forgets the deal when nobody waits for it.
    fn send(&mut self, deal_id: DealId, told: &CancellationToken) {
        let Some(queue) = self.queues.get_mut(&deal_id) else { return };
        let mut batch = Vec::with_capacity(queue.waiting.len().min(BATCH));
        queue.is_silent.store(false, Ordering::Relaxed);
        while batch.len() < BATCH
            && let Some(claim) = queue.waiting.pop_front()
        {
            if let Some(claim) = still_wanted(claim, false) {
                batch.push(claim);
            }
        }
        if batch.is_empty() {
            self.queues.remove(&deal_id);
            return;
        }
        queue.busy = true;
        metrics::histogram!("booster_claim_batch_size").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let (deals, clock, told) = (self.deals.clone(), self.clock.clone(), told.clone());
        let is_silent = queue.is_silent.clone();
        self.in_flight.push(Box::pin(async move {
            let settled = batch::settle(&deals, &clock, &deal_id, batch, &is_silent, &told).await;
            (deal_id, settled)
        }));
    }

    /// While a batch has no answer, those behind it do not wait for ever, and whoever is gone gives his place back.
    fn clear(&mut self) {
        for queue in self.queues.values_mut().filter(|queue| !queue.waiting.is_empty()) {
            let is_silent = queue.is_silent.load(Ordering::Relaxed);
            let waiting = std::mem::take(&mut queue.waiting).into_iter();
            queue.waiting = waiting.filter_map(|claim| still_wanted(claim, is_silent)).collect();
        }
    }

    /// A batch is done. Who could not be answered goes to the front, in the old order; the next batch goes.
    fn settle(&mut self, deal_id: &DealId, settled: Settled, told: &CancellationToken) {
        if settled.issued {
            self.bell.ring(Tag::of(deal_id.as_str()));
        }
        if settled.sold_out {
            self.winners.sold_out(deal_id);
        }
        if let Some(queue) = self.queues.get_mut(deal_id) {
            queue.busy = false;
            for claim in settled.again.into_iter().rev() {
                queue.waiting.push_front(claim);
            }
        }
        self.send(deal_id.clone(), told);
    }
}

/// The claim, unless its caller is gone, or it has waited so long that it is turned away: nothing has happened. Behind a batch
/// without an answer it is not too many who claim, but Redis that is away.
fn still_wanted(claim: Claim, is_silent: bool) -> Option<Claim> {
    if claim.reply.is_closed() {
        return None;
    }
    if claim.arrived.elapsed() > WAIT_MOST || claim.deadline.expired() {
        let error = if is_silent {
            Error::Unavailable(Fault::new("Redis does not answer for the batch before this claim"))
        } else {
            Error::Overloaded { retry_after: OVERLOADED_RETRY }
        };
        // Whoever asked may be gone: then nobody is told.
        let _ = claim.reply.send(Err(No::Error(error)));
        return None;
    }
    Some(claim)
}
