//! The inbox: the only place where it is decided whether an event takes effect.

use std::ops::Deref;

use kit::postgres::{Failure, Tx};

use crate::event::Event;
use crate::postgres::inbox;

/// An event that is here for the first time. Only the inbox makes one, in the transaction of its effects: what is not one has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First(Event);

impl Deref for First {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0
    }
}

/// How an event has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// For the first time: it takes effect now.
    First(First),
    /// It has taken effect before, whatever became of it since then.
    Again,
}

/// Notes the events, and tells of each how it has come. Of two with the same id the first counts.
pub(crate) async fn arrive(
    tx: &mut Tx,
    consumer: &str,
    events: impl IntoIterator<Item = Event>,
) -> Result<Vec<Arrival>, Failure> {
    let events: Vec<Event> = events.into_iter().collect();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
    let times: Vec<_> = events.iter().map(|event| event.time).collect();
    let mut new = inbox::note(tx, consumer, &ids, &times).await?;
    let how = |event: Event| if new.remove(&event.id) { Arrival::First(First(event)) } else { Arrival::Again };
    Ok(events.into_iter().map(how).collect())
}

/// Those that are here for the first time.
pub(crate) fn first(arrivals: Vec<Arrival>) -> Vec<First> {
    let first = |arrival| match arrival {
        Arrival::First(first) => Some(first),
        Arrival::Again => None,
    };
    arrivals.into_iter().filter_map(first).collect()
}
