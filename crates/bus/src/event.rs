//! An event, as it lies on a topic: CloudEvents 1.0 in binary mode, the payload in protobuf.

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest value of a header that an event needs, in bytes: PostgreSQL could not index a much longer one.
const HEADER_LONGEST: usize = 1_024;

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

/// An event that is to be told: PostgreSQL gives it its id and its time when it is written into the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// `ce_type`: `booster.order.v1.OrderPaid`.
    pub kind: String,
    /// `ce_subject`: the aggregate.
    pub subject: String,
    /// `ce_sequence`: the aggregate's version after the change. The higher one is the newer one.
    pub sequence: i64,
    /// `ce_partitionkey`: events with the same key keep their order, if whoever writes has locked what it names. That of an aggregate
    /// never changes.
    pub partition_key: String,
    /// The protobuf message that `kind` names: the aggregate's whole state after the change.
    pub payload: Bytes,
}

impl Event {
    /// Reads an event from its headers; of two with the same name the first counts.
    pub(crate) fn read(headers: &[(String, Vec<u8>)], payload: Bytes) -> Result<Self, Unreadable> {
        let optional = |name: &str| match headers.iter().find(|(key, _)| key == name) {
            Some((_, value)) if value.len() > HEADER_LONGEST => {
                Err(Unreadable::new(format!("the header {name} is too long")))
            }
            // What is not text would have to be changed to be kept, and might then be taken for something else.
            Some((_, value)) => match std::str::from_utf8(value) {
                Ok(text) if !text.contains('\0') => Ok(Some(text.to_owned())),
                Ok(_) | Err(_) => Err(Unreadable::new(format!("the header {name} is not text"))),
            },
            None => Ok(None),
        };
        let text = |name: &str| optional(name)?.ok_or_else(|| Unreadable::new(format!("the header {name} is missing")));
        let time = OffsetDateTime::parse(&text("ce_time")?, &Rfc3339)
            .map_err(|_| Unreadable::new("ce_time is not a time (RFC 3339)"))?;
        let sequence =
            text("ce_sequence")?.parse().map_err(|_| Unreadable::new("ce_sequence is not a whole number"))?;
        Ok(Self {
            id: text("ce_id")?,
            kind: text("ce_type")?,
            source: text("ce_source")?,
            subject: text("ce_subject")?,
            time,
            sequence,
            partition_key: text("ce_partitionkey")?,
            // What it was for is worth nothing where it cannot be read.
            traceparent: optional("traceparent").ok().flatten(),
            payload,
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(changed: Option<(&str, &str)>) -> Vec<(String, Vec<u8>)> {
        let whole = [
            ("ce_id", "promotion/1/1/5-0/0"),
            ("ce_type", "booster.promotion.v1.CouponClaimed"),
            ("ce_source", "promotion"),
            ("ce_subject", "lunch-1"),
            ("ce_time", "2026-01-31T10:00:00Z"),
            ("ce_sequence", "1"),
            ("ce_partitionkey", "1"),
        ];
        let value = |name: &str, value: &str| match changed {
            Some((other, new)) if other == name => new.to_owned(),
            Some(_) | None => value.to_owned(),
        };
        whole.iter().map(|(name, text)| ((*name).to_owned(), value(name, text).into_bytes())).collect()
    }

    #[test]
    fn whole_headers_are_an_event() {
        let event = Event::read(&headers(None), Bytes::from_static(b"x")).unwrap();
        assert_eq!((event.subject.as_str(), event.sequence, event.traceparent), ("lunch-1", 1, None));
    }

    #[test]
    fn what_postgres_could_not_keep_is_not_an_event() {
        let long = "x".repeat(HEADER_LONGEST + 1);
        for changed in [("ce_id", long.as_str()), ("ce_id", "a\0b"), ("ce_time", "yesterday"), ("ce_sequence", "1.5")] {
            assert!(Event::read(&headers(Some(changed)), Bytes::new()).is_err(), "{changed:?}");
        }
        let mut gone = headers(None);
        gone.remove(0);
        assert!(Event::read(&gone, Bytes::new()).is_err());
    }
}
