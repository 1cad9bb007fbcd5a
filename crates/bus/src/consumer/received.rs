//! One record of a topic, read as an event or kept as it is.

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
        let headers: Vec<(String, String)> = message
            .headers()
            .map(|headers| {
                headers
                    .iter()
                    .map(|header| (plain(header.key.as_bytes()), plain(header.value.unwrap_or_default())))
                    .collect()
            })
            .unwrap_or_default();
        let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        let event = event(&headers, payload.clone()).map_err(|unreadable| unreadable.to_string());
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

fn event(headers: &[(String, String)], payload: Bytes) -> Result<Event, Unreadable> {
    let optional = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let text = |name: &str| match optional(name) {
        Some(value) if value.len() > HEADER_LONGEST => Err(Unreadable::new(format!("the header {name} is too long"))),
        Some(value) => Ok(value),
        None => Err(Unreadable::new(format!("the header {name} is missing"))),
    };
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
        traceparent: optional("traceparent"),
        payload,
    })
}
