//! Looks at every watched deal of a process, when there is a reason to.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use bus::journal::Tag;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kit::redis::{CallError, Heard, Listener};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{View, Watches};
use crate::deal::{Course, DealId, State};
use crate::redis::{Answer, Deals};

/// How often it is seen who has a reason to be looked at: no deal is looked at more often, however much happens to it.
const TURN_EVERY: Duration = Duration::from_millis(50);
/// How often a deal is looked at without a reason: a message may have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after an instant that was ordered it is looked whether it has come: clocks do not agree to the millisecond.
const AFTER_INSTANT: Duration = Duration::from_millis(5);
/// How often it is asked again to hear of a tag: its slot may have moved to another node.
const LISTEN_EVERY: Duration = Duration::from_secs(30);
/// How long a node may take to say that it will tell.
const LISTEN_MOST: Duration = Duration::from_millis(50);
/// Looks that may be on their way.
const LOOKS_AT_ONCE: usize = 256;

/// A deal that somebody watches.
pub(super) struct Watched {
    news: watch::Sender<Option<View>>,
    /// When there is a reason to look.
    due: Instant,
    /// Whether a look is on its way.
    busy: bool,
}

impl Default for Watched {
    fn default() -> Self {
        Self { news: watch::Sender::default(), due: Instant::now(), busy: false }
    }
}

impl Watched {
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<View>> {
        self.news.subscribe()
    }
}

type Looked = (DealId, Result<Answer<Course>, CallError>);

pub(super) struct Hub {
    watches: Watches,
    deals: Deals,
    listener: Listener,
    /// Tags that are listened to.
    heard: HashSet<Tag>,
    listened: Instant,
    looks: FuturesUnordered<BoxFuture<'static, Looked>>,
}

impl Hub {
    pub(super) fn new(watches: Watches, deals: Deals, listener: Listener) -> Self {
        let looks = FuturesUnordered::new();
        Self { watches, deals, listener, heard: HashSet::new(), listened: Instant::now(), looks }
    }

    pub(super) async fn run(mut self, told: CancellationToken) -> anyhow::Result<()> {
        let mut turn = tokio::time::interval(TURN_EVERY);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told.cancelled() => break,
                Some((deal_id, answer)) = self.looks.next() => self.tell(&deal_id, answer),
                heard = self.listener.next() => self.hear(heard),
                _ = turn.tick() => self.turn().await,
            }
        }
        // Whoever watches is told that nobody looks any more.
        self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn hear(&self, heard: Heard) {
        let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match heard {
            Heard::Message(deal_id) => {
                if let Some(deal) = DealId::parse(&deal_id).ok().and_then(|deal_id| watched.get_mut(&deal_id)) {
                    deal.due = now;
                }
            }
            Heard::Missed => watched.values_mut().for_each(|deal| deal.due = now),
        }
    }

    /// Sends out every look that is due, and forgets what nobody watches any more.
    async fn turn(&mut self) {
        let mut due = Vec::new();
        let mut tags = HashSet::new();
        {
            let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|_, deal| deal.news.receiver_count() > 0);
            let now = Instant::now();
            for (deal_id, deal) in watched.iter_mut() {
                tags.insert(Tag::of(deal_id.as_str()));
                if !deal.busy && deal.due <= now && self.looks.len() + due.len() < LOOKS_AT_ONCE {
                    deal.busy = true;
                    deal.due = now + LOOK_EVERY;
                    due.push(deal_id.clone());
                }
            }
        }
        for deal_id in due {
            let deals = self.deals.clone();
            self.looks.push(Box::pin(async move {
                let answer = deals.look(&deal_id).await;
                (deal_id, answer)
            }));
        }
        self.listen(tags).await;
    }

    /// Listens to every tag of which something is watched.
    async fn listen(&mut self, tags: HashSet<Tag>) {
        if self.listened.elapsed() > LISTEN_EVERY {
            self.heard.clear();
            self.listened = Instant::now();
        }
        let (listener, deals) = (&self.listener, &self.deals);
        let new = tags.into_iter().filter(|tag| !self.heard.contains(tag)).map(async |tag| {
            let listening = tokio::time::timeout(LISTEN_MOST, listener.listen(deals.changes(tag))).await;
            // Where the node does not answer, deals are looked at without a hint, and it is asked again.
            matches!(listening, Ok(Ok(()))).then_some(tag)
        });
        let new: HashSet<Tag> = futures::future::join_all(new).await.into_iter().flatten().collect();
        if new.is_empty() {
            return;
        }
        // What has changed before it was listened to nobody has said.
        let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, deal) in watched.iter_mut().filter(|(deal_id, _)| new.contains(&Tag::of(deal_id.as_str()))) {
            deal.due = Instant::now();
        }
        drop(watched);
        self.heard.extend(new);
    }

    fn tell(&self, deal_id: &DealId, answer: Result<Answer<Course>, CallError>) {
        let mut watched = self.watches.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(deal) = watched.get_mut(deal_id) else { return };
        deal.busy = false;
        let view = match answer {
            Ok(Answer::Found(course)) => {
                deal.due = deal.due.min(Instant::now() + until_next(&course));
                Some(View::at(&course))
            }
            Ok(Answer::Frozen | Answer::Missing) => Some(View::FROZEN),
            // Its last state stays, except that it is surely over.
            Ok(Answer::Archived) => {
                let last: Option<View> = *deal.news.borrow();
                last.map(|view| View { state: State::Closed, ..view })
            }
            Err(_) => None,
        };
        // Also where it is what was told before: who came since then has begun with what he saw himself, and each knows his last.
        if view.is_some() {
            deal.news.send_replace(view);
        }
    }
}

/// How long until the deal opens or closes, if that is soon.
fn until_next(course: &Course) -> Duration {
    let instants = [course.opens_ms, course.closes_ms].into_iter();
    let next = instants.filter_map(|at_ms| u64::try_from(at_ms - course.now_ms).ok().filter(|ms| *ms > 0)).min();
    next.map_or(LOOK_EVERY, |ms| Duration::from_millis(ms) + AFTER_INSTANT)
}
