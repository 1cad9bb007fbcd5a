//! What the bus keeps in PostgreSQL. Its tables stand in each service's schema, and the search path says in which: these
//! are the only statements of the house that name a table without its schema.

pub(crate) mod dead_letter;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod journal;
pub(crate) mod lease;
pub(crate) mod parked;
pub(crate) mod partitions;
pub(crate) mod tag;
