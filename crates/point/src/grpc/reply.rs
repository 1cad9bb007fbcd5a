//! Noun -> protobuf.

use prost_types::Timestamp;
use proto::point::v1 as pb;
use time::OffsetDateTime;

use crate::account::{Balance, OrderId, RequestId};
use crate::audit::{Report, SENTENCES};
use crate::entry::{Entry, Kind};

pub(super) fn entry(entry: &Entry) -> pb::Entry {
    pb::Entry {
        entry_id: entry.id(),
        user_id: entry.user_id.to_string(),
        amount: entry.amount,
        balance_after: entry.balance_after,
        kind: kind(entry.kind).into(),
        order_id: entry.order_id.as_ref().map_or("", OrderId::as_str).to_owned(),
        request_id: entry.request_id.as_ref().map_or("", RequestId::as_str).to_owned(),
        created_at: Some(timestamp(entry.created_at)),
        reason: entry.reason.clone().unwrap_or_default(),
    }
}

/// The balance as clients and events have it.
#[must_use]
pub fn balance(balance: &Balance) -> pb::Balance {
    pb::Balance {
        user_id: balance.user_id.to_string(),
        available: balance.available,
        reserved: 0,
        expiring_soon: balance.expiring_soon,
        version: balance.version,
    }
}

pub(super) fn report(report: Report) -> pb::AuditLedgerResponse {
    let Report { accounts, entries, sum, mut violations, .. } = report;
    violations.truncate(SENTENCES);
    pb::AuditLedgerResponse { accounts, entries, sum, violations }
}

fn kind(kind: Kind) -> pb::EntryKind {
    match kind {
        Kind::Earn => pb::EntryKind::Earn,
        Kind::Deduct => pb::EntryKind::Deduct,
        Kind::Refund => pb::EntryKind::Refund,
        Kind::Expire => pb::EntryKind::Expire,
    }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
