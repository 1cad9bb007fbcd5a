//! An event, as it lies on a topic: CloudEvents 1.0 in binary mode, the payload in protobuf.

use bytes::Bytes;
use time::OffsetDateTime;

/// What happened to one aggregate: its whole state after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `ce_id`: the same on every redelivery.
    pub id: String,
    /// `ce_type`: `booster.promotion.v1.CouponClaimed`.
    pub kind: String,
    /// `ce_source`: the service that tells it.
    pub source: String,
    /// `ce_subject`: the aggregate.
    pub subject: String,
    /// `ce_time`: when it happened; the same on every redelivery.
    pub time: OffsetDateTime,
    /// `ce_sequence`: the aggregate's version. The higher one is the newer one.
    pub sequence: i64,
    /// `ce_partitionkey`: events with the same key keep their order.
    pub partition_key: String,
    /// `traceparent`: what it happened for, if anybody traced it.
    pub traceparent: Option<String>,
    /// The protobuf message that `kind` names.
    pub payload: Bytes,
}

/// What the topic carries cannot be read as an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event: {0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    /// Says what is wrong with it.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
