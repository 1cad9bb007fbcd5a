//! The relay of one journal.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::super::parking;
use super::Turn;
use crate::event::Event;
use crate::journal::{Entry, EntryId, Position, Tag};
use crate::postgres::journal;
use crate::postgres::parked::Parked;
use crate::producer::{Record, acknowledged};
use crate::redis::{self, JournalError, Read};

/// Entries read at once: with 256 claims in each it is some 8,000 events.
const ENTRIES: usize = 32;
/// How long the relay waits for the bell before it looks by itself: another process may have written.
const LOOK: Duration = Duration::from_millis(250);
/// Pause after Redis did not answer, or refused.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a journal is trimmed.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How long a consumer may stand still below the mark before everything after its progress is sent again.
const STANDSTILL: Duration = Duration::from_secs(10);

/// Relays one journal until something fails.
pub(super) async fn relay(turn: &Turn<'_>, tag: Tag) -> anyhow::Result<()> {
    let mut journal = Journal::new(turn, tag);
    loop {
        // First what has left the journal, then the journal: it may grow, and what leaves it then, in between.
        let seen = journal.seen();
        match journal.read().await {
            Ok(Read::Entries { epoch, last, .. }) if seen.epoch == epoch && last < seen.entry => {
                journal.close(seen, last).await;
            }
            Ok(Read::Entries { epoch, length, entries, .. }) => {
                // A relay begins with an entry that may have taken effect long ago: that one is not late.
                let progress = turn.progress(tag);
                let unsent = entries.iter().map(|entry| entry.position).find(|position| *position > progress);
                turn.gauges.read(tag, length, unsent.map(|position| position.entry));
                if journal.enter(epoch) {
                    continue;
                }
                let read = entries.len();
                journal.send(entries).await?;
                journal.trim().await;
                if read < ENTRIES {
                    // Either somebody in this process rings, or it is time to look.
                    let _ = tokio::time::timeout(LOOK, turn.relay.bell.rung(tag)).await;
                }
            }
            Ok(Read::Frozen) => journal.pause("the fence is closed").await,
            Err(error) => journal.pause(&describe(&error)).await,
        }
        journal.pass_parked().await?;
        journal.watch_standstill().await;
    }
}

struct Journal<'a> {
    turn: &'a Turn<'a>,
    tag: Tag,
    /// Where the next read begins.
    next: Position,
    /// Whether `next` itself has been sent already.
    after: bool,
    /// The highest entry below which, and with which, everything is acknowledged.
    mark: Position,
    /// The highest entry that told anything: its progress comes from the consumer.
    told: Position,
    /// A later entry that was parked and told nothing: nobody else can note that it is done with.
    parked: Option<Position>,
    trimmed: Instant,
    /// What progress was, and since when.
    stood: (Position, Instant),
    quiet: bool,
}

impl<'a> Journal<'a> {
    /// Begins at progress, and sends that entry itself again: perhaps only a part of it has taken effect.
    fn new(turn: &'a Turn<'a>, tag: Tag) -> Self {
        let progress = turn.progress(tag);
        let now = Instant::now();
        Self {
            turn,
            tag,
            next: progress,
            after: false,
            mark: Position::default(),
            told: progress,
            parked: None,
            trimmed: now,
            stood: (progress, now),
            quiet: false,
        }
    }

    /// A journal that does not reach as far as what was acknowledged or has taken effect has gone back in time: its node came back
    /// on an older disk, and would give ranks out a second time. It is frozen until an operator has looked.
    async fn close(&mut self, seen: Position, last: EntryId) {
        let relay = self.turn.relay;
        tracing::error!(tag = %self.tag, seen = %seen.entry, %last, "a journal has lost entries that had left it: the tag is frozen");
        if let Err(error) = redis::close(&relay.redis, &relay.keys, self.tag, seen.epoch).await {
            self.pause(&describe(&error)).await;
        }
    }

    /// The highest entry that is known to have been there.
    fn seen(&self) -> Position {
        let left = self.turn.left.get(&self.tag).copied().unwrap_or_default();
        self.next.max(self.mark).max(left).max(self.turn.progress(self.tag))
    }

    async fn read(&self) -> Result<Read, JournalError> {
        let relay = self.turn.relay;
        redis::read(&relay.redis, &relay.keys, self.tag, self.next.entry, self.after, ENTRIES).await
    }

    /// Another epoch is another journal: what was read belongs to a place of the old one, and it is read anew from its first
    /// entry. True where that is so.
    fn enter(&mut self, epoch: i64) -> bool {
        self.quiet = false;
        if self.next.epoch == epoch {
            return false;
        }
        if self.next.epoch != 0 {
            tracing::warn!(tag = %self.tag, epoch, "the journal has a new epoch");
        }
        self.next = Position { epoch, entry: EntryId::default() };
        self.after = false;
        true
    }

    async fn send(&mut self, entries: Vec<Entry>) -> anyhow::Result<()> {
        let Some(last) = entries.last().map(|entry| entry.position) else { return Ok(()) };
        let mut deliveries = Vec::new();
        for entry in &entries {
            // An entry may tell hundreds of events, and others share this thread.
            tokio::task::yield_now().await;
            let events = self.events(entry).await?;
            if events.is_empty() {
                self.parked = Some(entry.position);
            } else {
                (self.told, self.parked) = (entry.position, None);
            }
            for event in events {
                let record = Record::of(&event, &self.turn.topic)?;
                deliveries.push(acknowledged(self.turn.producer.send(&record).await?));
            }
        }
        let sent = deliveries.len();
        // Not in order: the first that fails ends the turn.
        deliveries.into_iter().collect::<FuturesUnordered<_>>().try_for_each(|_| async { Ok(()) }).await?;
        metrics::counter!("booster_relayed_events_total", "service" => self.turn.relay.service).increment(sent as u64);
        self.next = last;
        self.after = true;
        self.mark = last;
        self.turn.mark(self.tag, last);
        Ok(())
    }

    /// What the entry tells. One that cannot be read, or that no topic would take, is parked, and the journal goes on.
    async fn events(&self, entry: &Entry) -> anyhow::Result<Vec<Event>> {
        let events = (self.turn.relay.events)(entry);
        let fits = |event: &Event| Record::of(event, &self.turn.topic).map(drop);
        match events.and_then(|events| events.iter().try_for_each(fits).map(|()| events)) {
            Ok(events) => Ok(events),
            Err(unreadable) => {
                self.park(entry, &unreadable.to_string()).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn park(&self, entry: &Entry, cause: &str) -> anyhow::Result<()> {
        let relay = self.turn.relay;
        let fields: serde_json::Map<_, _> = entry
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).replace('\0', "\u{fffd}").into()))
            .collect();
        let parked = Parked {
            parking_key: entry.position.entry.to_string(),
            topic: relay.keys.journal(self.tag),
            partition: i32::from(self.tag.number()),
            offset: offset(entry.position.entry),
            headers: fields.into(),
            payload: Vec::new(),
            cause: cause.to_owned(),
            attempts: 1,
        };
        if parking::park(&relay.pool, relay.service, &parked).await? {
            tracing::error!(tag = %self.tag, entry = %entry.position.entry, cause, "a journal entry is parked");
        }
        Ok(())
    }

    /// Drops what has been acknowledged *and* has taken effect: strictly below both.
    async fn trim(&mut self) {
        if self.trimmed.elapsed() < TRIM_EVERY {
            return;
        }
        self.trimmed = Instant::now();
        let lowest = self.mark.min(self.turn.progress(self.tag));
        if lowest == Position::default() || lowest.epoch != self.next.epoch {
            return;
        }
        let relay = self.turn.relay;
        if let Err(error) = redis::trim(&relay.redis, &relay.keys, self.tag, lowest).await {
            tracing::debug!(tag = %self.tag, cause = describe(&error), "not trimmed this time");
        }
    }

    /// Where the last entries were parked, progress passes them as soon as everything before them has taken effect.
    async fn pass_parked(&mut self) -> anyhow::Result<()> {
        let Some(parked) = self.parked.filter(|_| self.turn.progress(self.tag) >= self.told) else { return Ok(()) };
        let mut tx = kit::postgres::begin(&self.turn.relay.pool).await?;
        journal::advance(&mut tx, &HashMap::from([(self.tag, parked)])).await?;
        kit::postgres::commit(tx).await?;
        self.parked = None;
        Ok(())
    }

    /// A last record that Kafka lost would keep progress below the mark for ever. Where the consumer has read everything and
    /// progress still stands, everything after it is sent again; a consumer that is merely slow, or away, is waited for.
    async fn watch_standstill(&mut self) {
        let progress = self.turn.progress(self.tag);
        if progress != self.stood.0 || progress >= self.told {
            self.stood = (progress, Instant::now());
        } else if self.stood.1.elapsed() > STANDSTILL {
            self.stood.1 = Instant::now();
            if self.turn.has_caught_up().await {
                tracing::warn!(tag = %self.tag, progress = %progress.entry, mark = %self.mark.entry, "sending again what has not arrived");
                (self.next, self.after) = (progress, false);
            }
        }
    }

    async fn pause(&mut self, cause: &str) {
        if !self.quiet {
            self.quiet = true;
            tracing::warn!(tag = %self.tag, cause, "the journal cannot be read now");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The entry's id in one number: milliseconds, and the lowest 20 bits of what counts within them.
fn offset(entry: EntryId) -> i64 {
    (entry.ms.cast_signed() << 20) | (entry.seq.cast_signed() & 0xf_ffff)
}

fn describe(error: &JournalError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
