//! One record of a topic, read as an event or kept as it is.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Event, Unreadable};

/// The longest value of a header that an event needs, in bytes: PostgreSQL could not index a much longer one.
const HEADER_LONGEST: usize = 1_024;

/// One record. What cannot be read as an event is kept, to be parked.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: Bytes,
    pub(super) event: Result<Event, String>,
}

impl Received {
    pub(super) fn new(message: &BorrowedMessage<'_>) -> Self {
        let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        let (headers, event) = match headers(message) {
            Ok(headers) => {
                let event = event(&headers, payload.clone()).map_err(|unreadable| unreadable.to_string());
                (headers.iter().map(|(name, value)| (plain(name.as_bytes()), plain(value))).collect(), event)
            }
            Err(unreadable) => (Vec::new(), Err(unreadable.to_string())),
        };
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            headers,
            payload,
            event,
        }
    }

    /// Events with the same parking key wait for each other; one that cannot be read waits for nobody.
    pub(super) fn parking_key(&self) -> String {
        match &self.event {
            Ok(event) => event.subject.clone(),
            Err(_) => format!("{}/{}/{}", self.topic, self.partition, self.offset),
        }
    }
}

/// Text that PostgreSQL can keep: valid UTF-8 without zero bytes.
fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// The headers as they are. Kafka's client panics where a name is not text.
fn headers(message: &BorrowedMessage<'_>) -> Result<Vec<(String, Vec<u8>)>, Unreadable> {
    let read = || {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    };
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| Unreadable::new("the headers cannot be read: the name of one is not text"))
}

fn event(headers: &[(String, Vec<u8>)], payload: Bytes) -> Result<Event, Unreadable> {
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
    let sequence = text("ce_sequence")?.parse().map_err(|_| Unreadable::new("ce_sequence is not a whole number"))?;
    Ok(Event {
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
        let event = event(&headers(None), Bytes::from_static(b"x")).unwrap();
        assert_eq!((event.subject.as_str(), event.sequence, event.traceparent), ("lunch-1", 1, None));
    }

    #[test]
    fn what_postgres_could_not_keep_is_not_an_event() {
        let long = "x".repeat(HEADER_LONGEST + 1);
        for changed in [("ce_id", long.as_str()), ("ce_id", "a\0b"), ("ce_time", "yesterday"), ("ce_sequence", "1.5")] {
            assert!(event(&headers(Some(changed)), Bytes::new()).is_err(), "{changed:?}");
        }
        let mut gone = headers(None);
        gone.remove(0);
        assert!(event(&gone, Bytes::new()).is_err());
        assert_eq!(plain(b"a\0b\xff"), "a\u{fffd}b\u{fffd}");
    }
}
