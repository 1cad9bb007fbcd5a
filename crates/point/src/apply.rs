//! The one way in which anything changes: operations, in their order, in somebody's transaction.
//!
//! What they name is locked, first orders, then accounts, each in the order of their names, so that two transactions never wait for
//! each other. Then it is decided what becomes of them, and written, in a statement for each table.

use std::collections::{BTreeSet, HashMap};

use bus::event::NewEvent;
use bus::outbox::Outbox;
use kit::error::{Error, Fault};
use kit::postgres::{Failure, Pool, Tx};

use crate::account::UserId;
use crate::ledger::{Changes, Ledger, Standing};
use crate::operation::{Asked, Fact, Outcome};
use crate::order::OrderUse;
use crate::postgres::{account, entry, order, request};
use crate::refusal::Refusal;

/// Where operations are carried out in transactions of their own. A cheap handle.
#[derive(Debug, Clone)]
pub struct Books {
    /// Where the ledger is.
    pub pool: Pool,
    /// Where facts are told.
    pub outbox: Outbox,
    /// How a fact is told.
    pub tell: fn(&Fact) -> NewEvent,
}

/// Why operations were not carried out in a transaction of their own.
#[derive(Debug)]
pub enum Failed {
    /// It was not begun: nothing happened.
    NotBegun(Error<Refusal>),
    /// PostgreSQL refused, or was away: where that was at the very end, nobody knows whether it happened.
    Postgres(Failure),
}

/// What came of operations.
#[derive(Debug)]
pub struct Applied {
    /// One for each of them.
    pub outcomes: Vec<Outcome>,
    /// What others have to be told in the same transaction. Every user that one of these names is locked.
    pub facts: Vec<Fact>,
}

impl Books {
    /// Carries operations out, and tells of it, in one transaction. What was asked with requests may be asked again where it fails.
    ///
    /// # Errors
    /// Too much waits for Kafka; PostgreSQL is away, or refuses a row: also where somebody else has carried out one of the requests a
    /// moment ago.
    pub async fn apply(&self, asked: &[&Asked]) -> Result<Vec<Outcome>, Failed> {
        let mut change = self.outbox.begin(&self.pool).await.map_err(Failed::NotBegun)?;
        let Applied { outcomes, facts } = apply_in(&mut change, asked).await.map_err(Failed::Postgres)?;
        let events: Vec<NewEvent> = facts.iter().map(self.tell).collect();
        change.commit(&events).await.map_err(Failed::Postgres)?;
        Ok(outcomes)
    }
}

impl Failed {
    /// Whether PostgreSQL refused a row.
    #[must_use]
    pub fn is_bad_row(&self) -> bool {
        match self {
            Self::NotBegun(_) => false,
            Self::Postgres(failure) => failure.is_bad_row(),
        }
    }

    /// What one of those is told who asked.
    #[must_use]
    pub fn error(&self) -> Error<Refusal> {
        match self {
            Self::NotBegun(Error::Overloaded { retry_after }) => Error::Overloaded { retry_after: *retry_after },
            Self::NotBegun(error) => Error::Unavailable(Fault::new(error.chain())),
            Self::Postgres(failure) => {
                let causes = std::iter::successors(std::error::Error::source(failure), |cause| cause.source());
                let fault = Fault::new(causes.fold(failure.to_string(), |text, cause| format!("{text}: {cause}")));
                if failure.is_away() { Error::Unavailable(fault) } else { Error::Internal(fault) }
            }
        }
    }
}

/// Carries operations out. Where it fails, the transaction must not be committed.
///
/// # Errors
/// As [`Books::apply`].
pub async fn apply_in(tx: &mut Tx, asked: &[&Asked]) -> Result<Applied, Failure> {
    let mut ledger = Ledger::open(standing(tx, asked).await?);
    let mut outcomes: Vec<Outcome> = asked.iter().map(|asked| ledger.decide(asked)).collect();
    let changes = ledger.close();
    write(tx, &changes).await?;
    remember(tx, &mut outcomes).await?;
    Ok(Applied { outcomes, facts: changes.facts })
}

/// Everything that the operations name, locked.
async fn standing(tx: &mut Tx, asked: &[&Asked]) -> Result<Standing, Failure> {
    let order_ids: BTreeSet<&str> =
        asked.iter().filter_map(|asked| Some(asked.operation.order_id()?.as_str())).collect();
    let uses = order::lock(tx, &Vec::from_iter(order_ids)).await?;
    let user_ids = asked.iter().filter_map(|asked| asked.operation.user_id()).chain(uses.iter().filter_map(owner));
    let user_ids: BTreeSet<&str> = user_ids.map(UserId::as_str).collect();
    let (accounts, now) = account::lock(tx, &Vec::from_iter(user_ids)).await?;
    // Asked once the accounts are locked: the same request beside this one has been waited for.
    let request_ids = asked.iter().filter_map(|asked| Some(asked.request.as_ref()?.request_id.as_str()));
    let known = request::known(tx, &request_ids.collect::<Vec<_>>()).await?;
    Ok(Standing { now, accounts, uses, known })
}

/// Whose points an order may give back.
fn owner(order: &OrderUse) -> Option<&UserId> {
    Some(&order.taken.as_ref()?.user_id)
}

async fn write(tx: &mut Tx, changes: &Changes) -> Result<(), Failure> {
    account::write(tx, &changes.accounts).await?;
    entry::add(tx, &changes.entries).await?;
    account::write_lots(tx, &changes.lots, &changes.lots_gone).await?;
    order::write(tx, &changes.uses).await?;
    request::remember(tx, &changes.remembered).await
}

/// Whoever asks again is told the same entry.
async fn remember(tx: &mut Tx, outcomes: &mut [Outcome]) -> Result<(), Failure> {
    let before = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Before(user_id, nth) => Some((user_id.clone(), *nth)),
        Outcome::Done(_) | Outcome::Nothing | Outcome::Refused(_) | Outcome::Invalid(_) | Outcome::Reused => None,
    });
    let entries = entry::find(tx, &before.collect::<Vec<_>>()).await?;
    let entries: HashMap<_, _> = entries.into_iter().map(|entry| ((entry.user_id.clone(), entry.nth), entry)).collect();
    for outcome in outcomes {
        if let Outcome::Before(user_id, nth) = outcome
            && let Some(entry) = entries.get(&(user_id.clone(), *nth))
        {
            *outcome = Outcome::Done(entry.clone());
        }
    }
    Ok(())
}
