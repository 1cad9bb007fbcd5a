//! One record of a topic, read as an event or kept as it is.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use time::{Duration, OffsetDateTime};

use crate::event::{Event, Unreadable};
use crate::postgres::parked::Lies;

/// By how much the clocks of those who tell and of Kafka may differ.
const CLOCKS: Duration = Duration::HOUR;

/// One record. What cannot be read as an event is kept, to be parked.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When Kafka got it.
    pub(super) at: Option<OffsetDateTime>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: Bytes,
    pub(super) event: Result<Event, String>,
}

impl Received {
    pub(super) fn new(message: &BorrowedMessage<'_>) -> Self {
        let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        let (headers, event) = match headers(message) {
            Ok(headers) => {
                let event = Event::read(&headers, payload.clone()).map_err(|unreadable| unreadable.to_string());
                (headers.iter().map(|(name, value)| (plain(name.as_bytes()), plain(value))).collect(), event)
            }
            Err(unreadable) => (Vec::new(), Err(unreadable.to_string())),
        };
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            at: message.timestamp().to_millis().map(kit::clock::from_millis),
            headers,
            payload,
            event,
        }
    }

    /// Where it lies.
    pub(super) fn lies(&self) -> Lies {
        (self.topic.clone(), self.partition, self.offset)
    }

    /// Whether Kafka had it before it happened.
    pub(super) fn came_early(&self) -> bool {
        self.event.as_ref().is_ok_and(|event| self.at.is_none_or(|at| event.time - at > CLOCKS))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_text_without_zero_bytes() {
        assert_eq!(plain(b"a\0b\xff"), "a\u{fffd}b\u{fffd}");
    }
}
