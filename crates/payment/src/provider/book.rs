//! What the provider has done by each key. A deed is decided under a lock, and answered once its line is on the disk; so is every answer
//! that tells of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};

use super::log::Pen;
use super::words::{Answer, Charge, Line, State};

/// Keys that are known, at most: about 100 bytes each, for as long as the process lives. A log with more is not opened.
const KEYS_MOST: usize = 5_000_000;
/// What stands before the number of a charge.
const REFERENCE: &str = "ch-";

/// All keys.
pub(super) struct Book {
    keys: Mutex<HashMap<Box<str>, Entry>>,
    pen: Pen,
}

/// One key.
#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    amount: i64,
    currency: [u8; 3],
    /// The number of its charge.
    charge: u64,
    /// The line that says what it stands at.
    line: u64,
    /// How often it was to be charged.
    requests: u32,
}

/// Why a key was not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is known with another amount, or another currency.
    OtherContent,
    /// There are too many.
    TooMany,
    /// A line could not be made.
    Broken,
}

impl Book {
    /// What the lines say.
    pub(super) fn new(lines: Vec<Line>, pen: Pen) -> anyhow::Result<Self> {
        let mut keys = HashMap::new();
        for (number, line) in (1..).zip(lines) {
            let entry: &mut Entry = keys.entry(line.key.clone().into_boxed_str()).or_insert_with(Entry::unknown);
            let is_next = matches!(
                (entry.state, line.deed),
                (State::Unknown, State::Charged | State::Declined | State::Voided) | (State::Charged, State::Refunded)
            );
            if !is_next {
                bail!("the log says that {} is {:?} after {:?}", line.key, line.deed, entry.state);
            }
            (entry.state, entry.line) = (line.deed, number);
            if line.deed != State::Voided {
                entry.amount = line.amount;
                entry.currency = line.currency.as_bytes().try_into().context("a currency of the log")?;
            }
            if let Some(reference) = &line.reference {
                let charge = reference.strip_prefix(REFERENCE).and_then(|number| number.parse().ok());
                entry.charge = charge.context("a reference of the log")?;
            }
        }
        if keys.len() > KEYS_MOST {
            bail!("the log has more than {KEYS_MOST} keys: begin another");
        }
        Ok(Self { keys: Mutex::new(keys), pen })
    }

    /// Notes that the key was asked to be charged; how often it was before.
    pub(super) fn meet(&self, key: &str) -> Result<u32, Refused> {
        let mut keys = self.lock();
        let entry = known(&mut keys, key)?;
        entry.requests = entry.requests.saturating_add(1);
        Ok(entry.requests - 1)
    }

    /// Charges, or declines, unless something was decided before.
    pub(super) async fn charge(&self, charge: &Charge, declines: bool) -> Result<Answer, Refused> {
        let currency = charge.currency.as_bytes().try_into().map_err(|_| Refused::OtherContent)?;
        self.decide(&charge.key, |entry, pen| {
            let is_other = entry.amount != 0 && (entry.amount, entry.currency) != (charge.amount, currency);
            match entry.state {
                State::Unknown => {
                    (entry.amount, entry.currency) = (charge.amount, currency);
                    entry.turn(if declines { State::Declined } else { State::Charged }, &charge.key, pen)
                }
                State::Voided => Ok(()),
                State::Charged | State::Declined | State::Refunded if is_other => Err(Refused::OtherContent),
                State::Charged | State::Declined | State::Refunded => Ok(()),
            }
        })
        .await
    }

    /// Rules out that the key is ever charged, unless something was decided before.
    pub(super) async fn void(&self, key: &str) -> Result<Answer, Refused> {
        self.decide(key, |entry, pen| match entry.state {
            State::Unknown => entry.turn(State::Voided, key, pen),
            State::Charged | State::Declined | State::Voided | State::Refunded => Ok(()),
        })
        .await
    }

    /// Gives back what was charged, if it was.
    pub(super) async fn refund(&self, key: &str) -> Result<Answer, Refused> {
        self.decide(key, |entry, pen| match entry.state {
            State::Charged => entry.turn(State::Refunded, key, pen),
            State::Unknown | State::Declined | State::Voided | State::Refunded => Ok(()),
        })
        .await
    }

    /// What a key stands at.
    pub(super) async fn ask(&self, key: &str) -> Answer {
        let entry = self.lock().get(key).copied().unwrap_or_else(Entry::unknown);
        self.pen.synced(entry.line).await;
        entry.answer(key)
    }

    async fn decide(
        &self,
        key: &str,
        deed: impl FnOnce(&mut Entry, &Pen) -> Result<(), Refused>,
    ) -> Result<Answer, Refused> {
        let entry = {
            let mut keys = self.lock();
            let entry = known(&mut keys, key)?;
            deed(entry, &self.pen)?;
            *entry
        };
        self.pen.synced(entry.line).await;
        Ok(entry.answer(key))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key's entry, made where there is none.
fn known<'a>(keys: &'a mut HashMap<Box<str>, Entry>, key: &str) -> Result<&'a mut Entry, Refused> {
    if !keys.contains_key(key) {
        if keys.len() >= KEYS_MOST {
            return Err(Refused::TooMany);
        }
        keys.insert(key.into(), Entry::unknown());
    }
    keys.get_mut(key).ok_or(Refused::TooMany)
}

impl Entry {
    fn unknown() -> Self {
        Self { state: State::Unknown, amount: 0, currency: *b"   ", charge: 0, line: 0, requests: 0 }
    }

    /// Adds the line of a deed, and is what it says.
    fn turn(&mut self, deed: State, key: &str, pen: &Pen) -> Result<(), Refused> {
        let is_void = deed == State::Voided;
        let mut next = Self { state: deed, ..*self };
        if deed == State::Charged {
            // When it was, and twenty random bits: nobody else has the same.
            let at_ms = u64::try_from(kit::clock::to_millis(kit::clock::now())).unwrap_or_default();
            next.charge = (at_ms << 20) | (rand::random::<u64>() >> 44);
        }
        let line = Line {
            at_ms: kit::clock::to_millis(kit::clock::now()),
            deed,
            key: key.to_owned(),
            amount: if is_void { 0 } else { next.amount },
            currency: if is_void { String::new() } else { next.currency() },
            reference: next.reference(),
        };
        next.line = pen.add(&line).map_err(|_| Refused::Broken)?;
        *self = next;
        Ok(())
    }

    fn answer(&self, key: &str) -> Answer {
        Answer { key: key.to_owned(), state: self.state, reference: self.reference() }
    }

    fn reference(&self) -> Option<String> {
        (self.charge != 0).then(|| format!("{REFERENCE}{}", self.charge))
    }

    fn currency(&self) -> String {
        String::from_utf8_lossy(&self.currency).into_owned()
    }
}
