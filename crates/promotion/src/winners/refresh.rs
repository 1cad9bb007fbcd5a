//! Keeps what is remembered true: one call for each tag, four times a second, for all its deals.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus::journal::Tag;
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Set, Winners};
use crate::deal::DealId;
use crate::redis::{Answer, Deals, Rounds, Sold};

/// How often each round is confirmed.
const EVERY: Duration = Duration::from_millis(250);
/// How long after a deal was read it is not read again: meanwhile Redis answers.
const READ_EVERY: Duration = Duration::from_secs(2);
/// How long a deal is remembered for which nobody asks.
const IDLE: Duration = Duration::from_secs(60);
/// Deals confirmed in one call, at most.
const DEALS: usize = 256;
/// What one holder costs beyond his name, in bytes: what he holds, the allocation of his name, and the table's own.
const HOLDER_BYTES: usize = 128;
/// What one deal costs beyond its holders, in bytes.
const SET_BYTES: usize = 1_024;

pub(super) struct Refresh {
    winners: Winners,
    deals: Deals,
    /// When each deal was last read: a deal that changes all the time is not read all the time.
    read: Mutex<HashMap<DealId, Instant>>,
}

impl Refresh {
    pub(super) fn new(winners: Winners, deals: Deals) -> Self {
        Self { winners, deals, read: Mutex::default() }
    }

    pub(super) async fn run(self, mut waiting: mpsc::Receiver<DealId>, told: CancellationToken) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told.cancelled() => return Ok(()),
                Some(deal_id) = waiting.recv() => self.remember(deal_id).await,
                _ = tick.tick() => self.confirm_all().await,
            }
        }
    }

    /// Reads the winners of a deal, if it is still sold out.
    async fn remember(&self, deal_id: DealId) {
        let known = self.winners.sets.read().unwrap_or_else(PoisonError::into_inner).contains_key(&deal_id);
        if known || !self.may_read(&deal_id) {
            return;
        }
        let asked_ms = self.winners.now_ms();
        // Where Redis does not answer, it goes on being asked by the claims themselves.
        if let Ok(Answer::Found(Some(sold))) = self.deals.winners(&deal_id).await {
            self.winners.keep(deal_id, set(sold, asked_ms));
        }
    }

    fn may_read(&self, deal_id: &DealId) -> bool {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|_, when| when.elapsed() < READ_EVERY);
        !read.contains_key(deal_id) && read.insert(deal_id.clone(), Instant::now()).is_none()
    }

    async fn confirm_all(&self) {
        let mut tags: BTreeMap<Tag, Vec<DealId>> = BTreeMap::new();
        for deal_id in self.winners.sets.read().unwrap_or_else(PoisonError::into_inner).keys() {
            tags.entry(Tag::of(deal_id.as_str())).or_default().push(deal_id.clone());
        }
        // Side by side: a node that does not answer must not silence the others.
        let chunks = tags.iter().flat_map(|(tag, deals)| deals.chunks(DEALS).map(|some| (*tag, some)));
        join_all(chunks.map(|(tag, some)| self.confirm(tag, some))).await;
    }

    /// A deal with another round or sequence is forgotten, and so is every deal of a tag that may not be served. Without an
    /// answer nothing is confirmed, and memory falls silent by itself.
    async fn confirm(&self, tag: Tag, deals: &[DealId]) {
        let asked_ms = self.winners.now_ms();
        // Later than that nobody would believe it, and the confirmations of the other tags wait for it.
        let Ok(answer) = tokio::time::timeout(EVERY, self.deals.rounds(tag, deals)).await else { return };
        match answer {
            Ok(Answer::Found(Rounds { now_ms, rounds })) => {
                let found: HashMap<&DealId, (i64, i64)> = deals.iter().zip(rounds).collect();
                self.compare(&found, asked_ms, now_ms);
            }
            Ok(Answer::Frozen | Answer::Missing | Answer::Archived) => {
                deals.iter().for_each(|deal_id| self.winners.forget(deal_id))
            }
            Err(_) => {}
        }
    }

    fn compare(&self, found: &HashMap<&DealId, (i64, i64)>, asked_ms: u64, redis_ms: i64) {
        let mut stale = Vec::new();
        for (deal_id, set) in self.winners.sets.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let idle_ms = self.winners.now_ms().saturating_sub(set.used_ms.load(Ordering::Relaxed));
            if redis_ms >= set.closes_ms || Duration::from_millis(idle_ms) > IDLE {
                stale.push(deal_id.clone());
                continue;
            }
            match found.get(deal_id) {
                Some((round, sequence)) if (*round, *sequence) == (set.round, set.sequence) => {
                    set.redis_ms.store(u64::try_from(redis_ms).unwrap_or_default(), Ordering::Relaxed);
                    set.confirmed_ms.store(asked_ms, Ordering::Release);
                }
                Some(_) => stale.push(deal_id.clone()),
                None => {}
            }
        }
        stale.iter().for_each(|deal_id| self.winners.forget(deal_id));
    }
}

fn set(sold: Sold, asked_ms: u64) -> Set {
    let bytes = SET_BYTES + sold.holders.keys().map(|user| user.len() + HOLDER_BYTES).sum::<usize>();
    Set {
        round: sold.round,
        sequence: sold.sequence,
        closes_ms: sold.closes_ms,
        terms: sold.terms,
        holders: sold.holders,
        bytes,
        confirmed_ms: AtomicU64::new(asked_ms),
        redis_ms: AtomicU64::new(u64::try_from(sold.now_ms).unwrap_or_default()),
        used_ms: AtomicU64::new(asked_ms),
    }
}
