//! What an operator can do with dead letters. Every deed is written down in the transaction that does it.

pub mod all;
pub mod replay;

use kit::postgres::{Pool, Tx, begin, commit};

use crate::consumer::{Apply, Consumer};
use crate::dead_letter::{DeadLetter, Filter, Refusal};
use crate::event::Event;
use crate::inbox;
use crate::postgres;
use crate::postgres::dead_letter::{self, Action};
use crate::postgres::parked;

/// Why something was not done.
pub type Error = kit::error::Error<Refusal>;

/// The dead letters of one service, and the effects of its consumers.
#[derive(Clone)]
pub struct Repair {
    service: &'static str,
    pool: Pool,
    consumers: Vec<Consumer>,
}

/// Who does it, and why.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The operator's name.
    pub operator: String,
    /// The reason that is written down.
    pub why: String,
}

impl Repair {
    /// The dead letters of `service`, in the schema that `pool` sees.
    #[must_use]
    pub fn new(service: &'static str, pool: Pool) -> Self {
        Self { service, pool, consumers: Vec::new() }
    }

    /// With one of its consumers: what that has parked can be replayed.
    #[must_use]
    pub fn with(mut self, consumer: Consumer) -> Self {
        self.consumers.push(consumer);
        self
    }

    /// The service whose dead letters these are.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Dead letters after a place, in the order of parking, without their payloads; of the filter consumer and cause count.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn page(&self, filter: &Filter, after: i64, limit: i64) -> Result<Vec<DeadLetter>, Error> {
        if limit <= 0 {
            return Ok(Vec::new());
        }
        Ok(dead_letter::page(&self.pool, filter, after, limit).await?)
    }

    /// The causes of all dead letters that the filter means, by consumer and cause, with how many there are of each; the most frequent
    /// first, at most a hundred.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn causes(&self, filter: &Filter) -> Result<Vec<(String, i64)>, Error> {
        Ok(dead_letter::causes(&self.pool, filter).await?)
    }

    /// One dead letter, whole.
    ///
    /// # Errors
    /// There is none of this id, or PostgreSQL is away.
    pub async fn get(&self, id: i64) -> Result<DeadLetter, Error> {
        Ok(dead_letter::find(&self.pool, id).await?.ok_or(Refusal::NotFound)?)
    }

    /// Whether a consumer could take it, were its payload right.
    ///
    /// # Errors
    /// None could: it can only be discarded.
    pub fn check(&self, letter: &DeadLetter) -> Result<(), Refusal> {
        self.effects(letter).map(drop).map_err(Refusal::NotReplayable)
    }

    /// Gives it another payload, with which no replay has failed yet.
    ///
    /// # Errors
    /// There is none of this id, no payload would help, or PostgreSQL is away.
    pub async fn edit(&self, id: i64, payload: &[u8], deed: &Deed) -> Result<DeadLetter, Error> {
        let (mut tx, letter) = self.take(id).await?;
        self.check(&letter)?;
        dead_letter::edit(&mut tx, id, payload).await?;
        let (before, after) = (Some(letter.payload.as_slice()), Some(payload));
        let action = Action { operator: &deed.operator, action: "EDIT", why: &deed.why, before, after };
        dead_letter::record(&mut tx, &letter, &action).await?;
        let edited = dead_letter::find(&mut *tx, id).await?.ok_or(Refusal::NotFound)?;
        commit(tx).await?;
        Ok(edited)
    }

    /// Gives it up: it takes no effect, also where it comes again, and what waits behind it can go on.
    ///
    /// # Errors
    /// There is none of this id, or PostgreSQL is away.
    pub async fn discard(&self, id: i64, deed: &Deed) -> Result<DeadLetter, Error> {
        let (mut tx, letter) = self.take(id).await?;
        self.forget(&mut tx, &letter).await?;
        dead_letter::remove(&mut tx, id).await?;
        let before = Some(letter.payload.as_slice());
        let action = Action { operator: &deed.operator, action: "DISCARD", why: &deed.why, before, after: None };
        dead_letter::record(&mut tx, &letter, &action).await?;
        commit(tx).await?;
        Ok(letter)
    }

    /// From here on the inbox knows the event, as if it had taken effect. Where another dead letter has the same event, that one
    /// decides; where it is no event, or the inbox does not reach it, the consumer knows it by its place (see [`Action`]).
    async fn forget(&self, tx: &mut Tx, letter: &DeadLetter) -> Result<(), Error> {
        let is_relays = letter.consumer == parked::relay_name(self.service);
        let Some(event) = letter.event().ok().filter(|_| !is_relays) else { return Ok(()) };
        if dead_letter::is_other_parked(tx, letter, &event.id).await? {
            return Ok(());
        }
        if postgres::inbox::hold_reach(tx).await?.holds(event.time) {
            inbox::arrive(tx, &letter.consumer, [event]).await?;
        }
        Ok(())
    }

    /// Nobody else has it, or another one of its key, until the transaction ends.
    async fn take(&self, id: i64) -> Result<(Tx, DeadLetter), Error> {
        let mut tx = begin(&self.pool).await?;
        let letter = dead_letter::find(&mut *tx, id).await?.ok_or(Refusal::NotFound)?;
        dead_letter::lock_key(&mut tx, &letter.consumer, &letter.parking_key).await?;
        // As it is now that nobody else can change it.
        let letter = dead_letter::find(&mut *tx, id).await?.ok_or(Refusal::NotFound)?;
        Ok((tx, letter))
    }

    /// The event of a dead letter and who can take it; else why nobody can.
    fn effects(&self, letter: &DeadLetter) -> Result<(&dyn Apply, Event), String> {
        if letter.consumer == parked::relay_name(self.service) {
            return Err("it is an entry of a journal that the relay could not read, and never was an event".to_owned());
        }
        let found = self.consumers.iter().find(|consumer| consumer.name() == letter.consumer);
        let consumer = found.ok_or_else(|| format!("{} is not a consumer of this process", letter.consumer))?;
        Ok((consumer.effects(), letter.event().map_err(|unreadable| unreadable.to_string())?))
    }
}
