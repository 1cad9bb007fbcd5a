//! Replies of the functions, read.

use fred::error::{Error as RedisError, ErrorKind};
use fred::types::Value;
use kit::redis::CallError;

use super::{Answer, Claimed, Outcome};
use crate::coupon::Grant;
use crate::deal::{Course, Terms};

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
        let (_issued, seats, free) = (self.number()?, self.number()?, self.number()?);
        let (round, sequence, _version) = (self.number()?, self.number()?, self.number()?);
        let (opens_ms, closes_ms) = (self.number()?, self.number()?);
        let (armed, frozen, closed) = (self.text()?, self.text()?, self.text()?);
        Some(Course {
            now_ms,
            epoch,
            round,
            sequence,
            stock,
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
        match self.parts.next()? {
            Value::Integer(number) => Some(number),
            other => other.into_string()?.parse().ok(),
        }
    }
}

/// The numbers of `claim.lua`.
fn outcome(code: i64, grant: Grant) -> Option<Outcome> {
    Some(match code {
        1 => Outcome::Won(grant),
        2 => Outcome::Held(grant),
        3 => Outcome::Returned,
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
