//! Replies of the functions, read.

use std::collections::HashMap;

use fred::error::{Error as RedisError, ErrorKind};
use fred::types::Value;
use kit::redis::CallError;

use super::{Answer, Claimed, GivenBack, Held, Outcome, Rounds, Sold, Updated};
use crate::coupon::Grant;
use crate::deal::{Course, Refusal, Terms};

/// A reply, read from its front. The first part is the status.
pub(super) struct Reply {
    parts: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        Self { parts: value.into_array().into_iter() }
    }

    /// Reads the status, and with "OK" the rest.
    pub(super) fn answer<T>(mut self, rest: impl FnOnce(&mut Self) -> Option<T>) -> Result<Answer<T>, CallError> {
        let answer = match self.text().as_deref() {
            Some("OK") => rest(&mut self).map(Answer::Found),
            Some("FROZEN") => Some(Answer::Frozen),
            Some("MISSING") => Some(Answer::Missing),
            Some(_) | None => None,
        };
        // What does not have the agreed shape is not an answer; whether anything happened is unknown.
        answer.ok_or_else(|| CallError::Unknown(RedisError::new(ErrorKind::Protocol, "a reply of another shape")))
    }

    pub(super) fn course(&mut self) -> Option<Course> {
        let (now_ms, epoch, stock) = (self.number()?, self.number()?, self.number()?);
        let (issued, seats, free) = (self.number()?, self.number()?, self.number()?);
        let (round, sequence, _version) = (self.number()?, self.number()?, self.number()?);
        let (opens_ms, closes_ms) = (self.number()?, self.number()?);
        let (armed, frozen, closed) = (self.text()?, self.text()?, self.text()?);
        Some(Course {
            now_ms,
            epoch,
            round,
            sequence,
            stock,
            issued,
            live: seats - free,
            opens_ms,
            closes_ms,
            closed: !closed.is_empty(),
            frozen: frozen == "1" || armed != "1",
        })
    }

    pub(super) fn holding(&mut self) -> Option<(Terms, Option<Outcome>)> {
        let _now = self.number()?;
        let terms = serde_json::from_str(&self.text()?).ok()?;
        let (code, rank, claimed_ms) = (self.number()?, self.number()?, self.number()?);
        let held = if code == 0 { None } else { Some(outcome(code, Grant { rank, claimed_ms })?) };
        Some((terms, held))
    }

    pub(super) fn updated(&mut self) -> Option<Updated> {
        let (_now, stock) = (self.number()?, self.number()?);
        let refusal = match self.text()?.as_str() {
            "" => None,
            "DEAL_OVER" => Some(Refusal::DealOver),
            "STOCK_SHRINKS" => Some(Refusal::StockShrinks),
            _ => return None,
        };
        Some(Updated { stock, refusal })
    }

    /// Besides the usual, "NO" and why.
    pub(super) fn given_back(self) -> Result<Answer<GivenBack>, CallError> {
        let mut parts = self.parts.as_slice().iter().map(Value::as_str);
        match (parts.next().flatten().as_deref(), parts.next().flatten().as_deref()) {
            (Some("NO"), Some("NOT_OWNER")) => Ok(Answer::Found(GivenBack::NotOwner)),
            (Some("NO"), Some("NOT_FOUND")) => Ok(Answer::Found(GivenBack::NotFound)),
            _ => {
                drop(parts);
                self.answer(|reply| match reply.holding()? {
                    (terms, Some(Outcome::Returned(grant))) => Some(GivenBack::Yes(terms, grant)),
                    _ => None,
                })
            }
        }
    }

    /// Besides the usual, "NO" where there is nothing to remember.
    pub(super) fn sold(self) -> Result<Answer<Option<Sold>>, CallError> {
        if self.parts.as_slice().first().and_then(Value::as_str).as_deref() == Some("NO") {
            return Ok(Answer::Found(None));
        }
        self.answer(|reply| {
            let (now_ms, round, sequence) = (reply.number()?, reply.number()?, reply.number()?);
            let (closes_ms, terms) = (reply.number()?, serde_json::from_str(&reply.text()?).ok()?);
            let holders = reply.holders()?;
            Some(Some(Sold { now_ms, round, sequence, closes_ms, terms, holders }))
        })
    }

    /// A page of holders, and where the next one begins.
    pub(super) fn page(&mut self) -> Option<(String, HashMap<Box<str>, Held>)> {
        let _now = self.number()?;
        Some((self.text()?, self.holders()?))
    }

    /// All that is left, in pairs.
    fn holders(&mut self) -> Option<HashMap<Box<str>, Held>> {
        let mut holders = HashMap::with_capacity(self.parts.len() / 2);
        while let Some(user) = self.text() {
            let value = self.text()?;
            // The field that keeps the hash alive belongs to nobody.
            if user != ":" {
                holders.insert(user.into_boxed_str(), held(&value)?);
            }
        }
        Some(holders)
    }

    pub(super) fn rounds(&mut self, deals: usize) -> Option<Rounds> {
        let now_ms = self.number()?;
        let rounds = (0..deals).map(|_| Some((self.number()?, self.number()?))).collect::<Option<_>>()?;
        Some(Rounds { now_ms, rounds })
    }

    pub(super) fn claimed(&mut self, users: usize) -> Option<Claimed> {
        let (now_ms, round, sequence, opens_ms) = (self.number()?, self.number()?, self.number()?, self.number()?);
        let terms = self.text()?;
        let mut outcomes = Vec::with_capacity(users);
        for _ in 0..users {
            let (code, rank, claimed_ms) = (self.number()?, self.number()?, self.number()?);
            outcomes.push(outcome(code, Grant { rank, claimed_ms })?);
        }
        Some(Claimed { now_ms, round, sequence, opens_ms, terms, outcomes })
    }

    fn text(&mut self) -> Option<String> {
        self.parts.next()?.into_string()
    }

    fn number(&mut self) -> Option<i64> {
        let value = self.parts.next()?;
        value.as_i64().or_else(|| value.into_string()?.parse().ok())
    }
}

/// `<rank>:<seat>:<milliseconds>`, "-" in front once it was returned.
fn held(value: &str) -> Option<Held> {
    let (returned, value) = value.strip_prefix('-').map_or((false, value), |value| (true, value));
    let mut parts = value.split(':');
    let (rank, seat) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let claimed_ms = parts.next()?.parse().ok()?;
    Some(Held { rank, seat, claimed_ms, returned })
}

/// The numbers of `claim.lua`.
fn outcome(code: i64, grant: Grant) -> Option<Outcome> {
    Some(match code {
        1 => Outcome::Won(grant),
        2 => Outcome::Held(grant),
        3 => Outcome::Returned(grant),
        4 => Outcome::SoldOut,
        5 => Outcome::NotOpen,
        6 => Outcome::Closed,
        7 => Outcome::Frozen,
        8 => Outcome::PassRequired,
        9 => Outcome::Late,
        10 => Outcome::Full,
        _ => return None,
    })
}
