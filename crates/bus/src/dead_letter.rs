//! A dead letter: an event that could not take effect, or that waits behind one, as an operator sees it.

use std::collections::HashSet;

use bytes::Bytes;
use kit::error::Code;
use time::OffsetDateTime;

use crate::event::{Event, Unreadable};

/// One parked event.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its number within the service, in the order of parking.
    pub id: i64,
    /// Whose it is: a consumer, or the relay of the service.
    pub consumer: String,
    /// What waits behind it: later events with the same key.
    pub parking_key: String,
    /// `ce_subject`; empty where it has none.
    pub subject: String,
    /// `ce_type`; empty where it has none.
    pub kind: String,
    /// The topic that it lay on; of the relay's, the journal.
    pub topic: String,
    /// Its partition; of the relay's, the tag.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its headers; of the relay's, the fields of the entry. In a list those that are very long are left out.
    pub headers: serde_json::Value,
    /// Its payload. Empty in a list.
    pub payload: Vec<u8>,
    /// Why it was parked.
    pub cause: String,
    /// How often it was tried before.
    pub attempts: i32,
    /// When it was parked.
    pub parked_at: OffsetDateTime,
    /// Whether it is replayed without being named.
    pub state: State,
    /// How many replays have failed since it was parked or edited.
    pub failed_replays: i32,
    /// Why the last of them failed.
    pub replay_cause: Option<String>,
}

/// Whether a dead letter is replayed without being named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Parked,
    /// Too many replays have failed: it has to be named, or edited.
    Quarantined,
}

impl State {
    /// As PostgreSQL has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "PARKED",
            Self::Quarantined => "QUARANTINED",
        }
    }
}

impl DeadLetter {
    /// The event that was parked.
    ///
    /// # Errors
    /// It never was one. What could not be read was parked under its place on the topic, and its headers were kept as far as they
    /// are text: read again, they might be taken for something else.
    pub fn event(&self) -> Result<Event, Unreadable> {
        let headers = self.headers.as_object().into_iter().flatten();
        let headers: Vec<_> =
            headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.as_bytes().to_vec()))).collect();
        let event = Event::read(&headers, Bytes::copy_from_slice(&self.payload))?;
        if event.subject == self.parking_key {
            Ok(event)
        } else {
            Err(Unreadable::new("its headers could not be read when it was parked"))
        }
    }
}

/// Which dead letters are meant: those to which everything that is said applies.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this consumer.
    pub consumer: Option<String>,
    /// Whose cause has these words.
    pub cause: Option<String>,
    /// With this parking key.
    pub parking_key: Option<String>,
    /// These, and no others; empty: not said.
    pub ids: HashSet<i64>,
}

/// Every "no" to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such dead letter, or none any more.
    NotFound,
    /// No consumer of this process can take it, whatever is changed of its payload.
    NotReplayable(String),
    /// Its type is not one of the contracts: its payload cannot be written as JSON.
    UnknownType(String),
}

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "bus.booster";

    fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::NotReplayable(_) | Self::UnknownType(_) => Code::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "DEAD_LETTER_NOT_FOUND",
            Self::NotReplayable(_) => "NOT_REPLAYABLE",
            Self::UnknownType(_) => "UNKNOWN_TYPE",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NotFound => "there is no such dead letter: it was replayed or discarded, or never was".to_owned(),
            Self::NotReplayable(why) => format!("it can only be discarded: {why}"),
            Self::UnknownType(kind) => format!("{kind:?} is not a type of event that this version knows"),
        }
    }
}
