//! Replies of the functions, read.

use std::collections::HashMap;

use fred::error::{Error as RedisError, ErrorKind};
use fred::types::Value;
use kit::error::Refusal as _;
use kit::redis::CallError;

use super::{Answer, Claimed, Held, Holding, Kept, Outcome, Rounds, Sold, Unfit};
use crate::coupon::{Grant, State};
use crate::deal::{Course, Decision, Refusal, Updated, UserId};

/// The field that keeps a hash of holders alive while there are none.
const NOBODY: &str = ":";

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
            Some("ARCHIVED") => Some(Answer::Archived),
            Some(_) | None => None,
        };
        // What does not have the agreed shape is not an answer; whether anything happened is unknown.
        answer.ok_or_else(another_shape)
    }

    pub(super) fn course(&mut self) -> Option<Course> {
        let (now_ms, epoch, stock) = (self.number()?, self.number()?, self.number()?);
        let (issued, seats, free) = (self.number()?, self.number()?, self.number()?);
        let (round, sequence) = (self.number()?, self.number()?);
        let (opens_ms, closes_ms) = (self.number()?, self.number()?);
        let (armed, frozen, closed) = (self.text()?, self.text()?, self.text()?);
        let entry = self.text()?.parse().ok()?;
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
            entry,
        })
    }

    pub(super) fn holding(&mut self) -> Option<Holding> {
        let now_ms = self.number()?;
        let terms = serde_json::from_str(&self.text()?).ok()?;
        let state = State::parse(&self.text()?)?;
        let grant = Grant { rank: self.number()?, claimed_ms: self.number()? };
        let order_id = Some(self.text()?).filter(|order_id| !order_id.is_empty());
        Some(Holding { now_ms, terms, state, grant, order_id })
    }

    /// A coupon and whose it is; nothing where nobody knows that.
    pub(super) fn restored(&mut self) -> Option<Option<(UserId, Holding)>> {
        if self.parts.len() == 1 {
            return Some(None);
        }
        let holding = self.holding()?;
        Some(Some((UserId::parse(&self.text()?).ok()?, holding)))
    }

    pub(super) fn updated(&mut self) -> Option<Updated> {
        let _now = self.number()?;
        let decision = match self.text()?.as_str() {
            "" => Decision::Done,
            "PASSED_OVER" => Decision::PassedOver,
            "DEAL_OVER" => Decision::DealOver,
            "DEAL_STARTED" => Decision::DealStarted,
            "STOCK_SHRINKS" => Decision::StockShrinks,
            "CLOSES_EARLY" => Decision::ClosesEarly,
            _ => return None,
        };
        let (stock, opens_ms, closes_ms) = (self.number()?, self.number()?, self.number()?);
        let pass_required = self.text()? == "1";
        let terms = serde_json::from_str(&self.text()?).ok()?;
        Some(Updated { decision, stock, opens_ms, closes_ms, pass_required, terms })
    }

    /// Besides the usual, "NO" and why, in the words that `no` reads.
    pub(super) fn or_no<T, N>(
        self,
        no: impl FnOnce(&str) -> Option<N>,
        rest: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<Answer<Result<T, N>>, CallError> {
        let mut parts = self.parts.as_slice().iter().map(Value::as_str);
        if let (Some(Some(said)), Some(Some(why))) = (parts.next(), parts.next())
            && said == "NO"
        {
            return no(&why).map(|no| Answer::Found(Err(no))).ok_or_else(another_shape);
        }
        drop(parts);
        self.answer(|reply| rest(reply).map(Ok))
    }

    /// Besides the usual, "NO" where there is nothing to remember.
    pub(super) fn sold(self) -> Result<Answer<Option<Sold>>, CallError> {
        let answer = self.or_no(nothing, |reply| {
            let (now_ms, round, sequence) = (reply.number()?, reply.number()?, reply.number()?);
            let (closes_ms, terms) = (reply.number()?, serde_json::from_str(&reply.text()?).ok()?);
            let holders = reply.holders()?;
            Some(Sold { now_ms, round, sequence, closes_ms, terms, holders })
        })?;
        Ok(answer.map(Result::ok))
    }

    /// A page of holders, and where the next one begins.
    pub(super) fn page(&mut self) -> Option<(String, HashMap<Box<str>, Kept>)> {
        let _now = self.number()?;
        let cursor = self.text()?;
        let mut holders = HashMap::with_capacity(self.parts.len() / 3);
        while let Some(user) = self.text() {
            let (value, used) = (self.text()?, self.text()?);
            if user != NOBODY {
                holders.insert(user.into_boxed_str(), kept(&value, &used)?);
            }
        }
        Some((cursor, holders))
    }

    /// All that is left, in pairs.
    fn holders(&mut self) -> Option<HashMap<Box<str>, Held>> {
        let mut holders = HashMap::with_capacity(self.parts.len() / 2);
        while let Some(user) = self.text() {
            let value = self.text()?;
            if user != NOBODY {
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

/// Whatever is said, nothing comes of it.
#[expect(clippy::unnecessary_wraps, reason = "every word is understood")]
pub(super) fn nothing(_why: &str) -> Option<()> {
    Some(())
}

/// The words of `coupon.lua`: those of the refusals, and one for a lack of room.
pub(super) fn unfit(why: &str) -> Option<Unfit> {
    if why == "FULL" {
        return Some(Unfit::Full);
    }
    let refusals = [
        Refusal::CouponNotFound,
        Refusal::NotOwner,
        Refusal::CouponReturned,
        Refusal::CouponRedeemed,
        Refusal::CouponExpired,
        Refusal::CouponOtherOrder,
    ];
    refusals.into_iter().find(|refusal| refusal.reason() == why).map(Unfit::Refused)
}

fn another_shape() -> CallError {
    CallError::Unknown(RedisError::new(ErrorKind::Protocol, "a reply of another shape"))
}

/// `<rank>:<seat>:<milliseconds>`, in front "-" once it was returned, or "0" once it was redeemed.
fn held(value: &str) -> Option<Held> {
    let (returned, value) = value.strip_prefix('-').map_or((false, value), |value| (true, value));
    let mut parts = value.split(':');
    let (rank, seat) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let claimed_ms = parts.next()?.parse().ok()?;
    Some(Held { rank, seat, claimed_ms, returned })
}

/// A value of `held`, and what `used` says of it: `<version>:<order>:<user>`, or nothing.
fn kept(value: &str, used: &str) -> Option<Kept> {
    let held = held(value)?;
    if used.is_empty() {
        return Some(Kept { held, version: if held.returned { 2 } else { 1 }, order_id: None });
    }
    let mut parts = used.split(':');
    let version = parts.next()?.parse().ok()?;
    let order_id = parts.next().filter(|order_id| !order_id.is_empty()).map(str::to_owned);
    Some(Kept { held, version, order_id })
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
