//! Protobuf -> noun, checked field by field.

use kit::error::Invalid;
use kit::page;
use prost::Message;
use prost_types::Timestamp;
use proto::point::v1 as pb;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::reply;
use crate::account::{AMOUNT_MOST, OrderId, RequestId, UserId};
use crate::find::Listed;
use crate::operation::{Operation, Request};

/// The longest reason, in characters.
const REASON_LONGEST: usize = 200;

pub(super) fn earn(asked: pb::EarnPointsRequest) -> Result<(Operation, Request), Invalid> {
    let request = request("earn", &asked.request_id, &asked)?;
    let user_id = UserId::parse(&asked.user_id)?;
    let amount = amount(asked.amount)?;
    let expires_at = asked.expires_at.map(|expires_at| instant("expires_at", expires_at)).transpose()?;
    let reason = reason(asked.reason)?;
    Ok((Operation::Earn { user_id, amount, expires_at, reason }, request))
}

pub(super) fn deduct(asked: &pb::DeductPointsRequest) -> Result<(Operation, Request), Invalid> {
    let request = request("deduct", &asked.request_id, asked)?;
    let (user_id, order_id) = (UserId::parse(&asked.user_id)?, OrderId::parse(&asked.order_id)?);
    let amount = amount(asked.amount)?;
    Ok((Operation::Deduct { user_id, amount, order_id }, request))
}

pub(super) fn refund(asked: &pb::RefundPointsRequest) -> Result<(Operation, Request), Invalid> {
    let request = request("refund", &asked.request_id, asked)?;
    let order_id = OrderId::parse(&asked.order_id)?;
    Ok((Operation::Refund { order_id }, request))
}

pub(super) fn balance(asked: &pb::GetBalanceRequest) -> Result<(UserId, Option<OffsetDateTime>), Invalid> {
    let at = asked.at.map(|at| instant("at", at)).transpose()?;
    Ok((UserId::parse(&asked.user_id)?, at))
}

/// The page of entries asked for.
pub(super) struct Page {
    pub(super) user_id: UserId,
    /// Below this number.
    pub(super) below: Option<i64>,
    pub(super) size: usize,
}

impl Page {
    pub(super) fn read(asked: &pb::ListEntriesRequest) -> Result<Self, Invalid> {
        let user_id = UserId::parse(&asked.user_id)?;
        let size = usize::try_from(page::size(asked.page_size)?).unwrap_or_default();
        // It comes back from a client, and has to be a number that an entry can have.
        let below = page::after(&list(&user_id), &asked.page_token)?;
        if below.is_some_and(|nth: i64| nth < 1) {
            return Err(page::foreign());
        }
        Ok(Self { user_id, below, size })
    }

    pub(super) fn reply(&self, listed: &Listed) -> pb::ListEntriesResponse {
        let entries = listed.found.iter().map(reply::entry).collect();
        pb::ListEntriesResponse { entries, next_page_token: page::token(list(&self.user_id), listed.next) }
    }
}

fn list(user_id: &UserId) -> String {
    format!("entries/{user_id}")
}

/// What was asked is told from everything else that may come under the same key, also by another method.
fn request(method: &str, request_id: &str, asked: &impl Message) -> Result<Request, Invalid> {
    let request_id = RequestId::parse(request_id)?;
    let digest = Sha256::new_with_prefix(method).chain_update([0]).chain_update(asked.encode_to_vec()).finalize();
    Ok(Request { request_id, digest: digest.into() })
}

fn amount(amount: i64) -> Result<i64, Invalid> {
    if (1..=AMOUNT_MOST).contains(&amount) {
        Ok(amount)
    } else {
        Err(Invalid::new("amount", format!("is {amount}; it is 1 to {AMOUNT_MOST}")))
    }
}

fn reason(reason: String) -> Result<Option<String>, Invalid> {
    let length = reason.chars().count();
    if length > REASON_LONGEST {
        let why = format!("has {length} characters; at most {REASON_LONGEST} are allowed");
        return Err(Invalid::new("reason", why));
    }
    if reason.chars().any(char::is_control) {
        return Err(Invalid::new("reason", "has a control character"));
    }
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

/// To the microsecond: what PostgreSQL keeps.
fn instant(field: &'static str, timestamp: Timestamp) -> Result<OffsetDateTime, Invalid> {
    let out_of_range = || Invalid::new(field, "is not an instant between the years 1970 and 9999");
    if !(0..1_000_000_000).contains(&timestamp.nanos) || timestamp.seconds < 0 {
        return Err(out_of_range());
    }
    let time = OffsetDateTime::from_unix_timestamp(timestamp.seconds).map_err(|_| out_of_range())?;
    Ok(time + time::Duration::microseconds(i64::from(timestamp.nanos / 1_000)))
}
