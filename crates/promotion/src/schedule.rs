//! Ordering a deal: written down, put into Redis unarmed, known to be there, armed. Whatever was begun is finished, by a
//! repeat of the request or by the pusher.

use std::time::Duration;

use bus::journal::Tag;
use kit::boot::{Process, Stage};
use kit::error::{Error, Fault};
use kit::postgres::Pool;
use kit::redis::CallError;

use crate::deal::{self, Deal, DealId, Decision, Patch, Refusal, RequestId, Terms, Wish};
use crate::find;
use crate::postgres::deal::{self as rows, Created, Row};
use crate::postgres::order::{self, Wished};
use crate::redis::{Answer, Deals};

/// How often the pusher looks for what was begun and not finished.
const PUSH_EVERY: Duration = Duration::from_secs(5);
/// Deals that the pusher reads at once.
const PUSH_PAGE: i64 = 100;

/// How often an order waits for the ones before it.
const WISHES_MOST: u32 = 8;
/// When to come back where too many change the same deal at once.
const WISHES_RETRY: Duration = Duration::from_secs(1);

/// The idempotency key of a request, and what was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key.
    pub request_id: RequestId,
    /// SHA-256 of what was asked.
    pub digest: Vec<u8>,
}

/// Creates a deal. The same request again answers the same deal.
///
/// # Errors
/// [`Refusal::DealExists`], [`Error::RequestIdReused`]; [`Error::Unavailable`] where it may or may not come to be.
pub async fn create(pool: &Pool, deals: &Deals, wish: Wish, request: Option<Request>) -> Result<Deal, Error<Refusal>> {
    let tag = Tag::of(wish.deal_id.as_str()).to_sql();
    let request = request.as_ref().map(|request| (&request.request_id, request.digest.as_slice()));
    let row = match rows::create(pool, &wish, tag, request).await? {
        Created::Yes(row) => row,
        Created::RequestIdReused => return Err(Error::RequestIdReused),
        Created::Exists => return Err(Refusal::DealExists.into()),
    };
    let deal_id: DealId = row.wish.deal_id.clone();
    if !row.applied {
        push(pool, deals, &row).await?;
    }
    find::deal(pool, deals, &deal_id).await
}

/// Orders something else of a deal: all that the patch says, or nothing. What is wished for is written down first, with a version
/// that only PostgreSQL counts; Redis decides by its own record, and its answer is what readers see.
///
/// # Errors
/// [`Refusal::DealNotFound`], [`Refusal::Frozen`], [`Refusal::DealOver`], [`Refusal::DealStarted`],
/// [`Refusal::StockShrinks`], [`Error::Invalid`]; [`Error::Unavailable`] where it may or may not come to be.
pub async fn update(pool: &Pool, deals: &Deals, deal_id: &DealId, patch: &Patch) -> Result<Deal, Error<Refusal>> {
    for _ in 0..WISHES_MOST {
        match order::wish(pool, deal_id, patch).await? {
            Wished::NotFound => return Err(Refusal::DealNotFound.into()),
            // Another order came first, and whoever gave it may be gone: it is decided on before this one.
            Wished::NotYet(row) => drop(push(pool, deals, &row).await?),
            Wished::Yes(row) => {
                decided(push(pool, deals, &row).await?)?;
                return find::deal(pool, deals, deal_id).await;
            }
        }
    }
    Err(Error::Overloaded { retry_after: WISHES_RETRY })
}

/// Closes a deal for good. One that is over already stays as it is.
///
/// # Errors
/// As [`update`].
pub async fn close(pool: &Pool, deals: &Deals, deal_id: &DealId) -> Result<Deal, Error<Refusal>> {
    let patch = Patch { close: true, ..Patch::default() };
    match update(pool, deals, deal_id, &patch).await {
        // Redis closes what is over already once more; only of an archived deal nothing can be said.
        Err(Error::Refused(Refusal::DealOver)) => find::deal(pool, deals, deal_id).await,
        closed => closed,
    }
}

/// Starts to finish what was begun: every few seconds, until told to stop.
pub fn spawn(process: &Process, pool: &Pool, deals: &Deals) {
    let (pool, deals) = (pool.clone(), deals.clone());
    process.spawn(Stage::Work, "pusher", |told| async move {
        while told.run_until_cancelled(tokio::time::sleep(PUSH_EVERY)).await.is_some() {
            let outcomes = [push_pending(&pool, &deals).await, forget(&pool).await];
            for error in outcomes.into_iter().filter_map(Result::err) {
                tracing::warn!(cause = error.chain(), "what was begun could not be finished now");
            }
        }
        Ok(())
    });
}

/// Page by page: deals that cannot be finished must not keep the later ones waiting.
async fn push_pending(pool: &Pool, deals: &Deals) -> Result<(), Error<Refusal>> {
    let mut after = String::new();
    loop {
        let page = order::pending(pool, &after, PUSH_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.wish.deal_id.to_string();
        for row in &page {
            let deal_id = &row.wish.deal_id;
            match push(pool, deals, row).await {
                Ok(decision) => tracing::info!(deal = %deal_id, ?decision, "what was begun of a deal is finished"),
                Err(Error::Refused(refusal)) => tracing::warn!(deal = %deal_id, ?refusal, "a deal cannot be finished"),
                // Its Redis node may be away; those of the others need not be.
                Err(error) => tracing::warn!(deal = %deal_id, cause = error.chain(), "a deal cannot be finished now"),
            }
        }
    }
}

async fn forget(pool: &Pool) -> Result<(), Error<Refusal>> {
    rows::forget_requests(pool).await?;
    Ok(())
}

/// Puts, notes, arms, has the newest order decided, notes. A deal that was once noted as armed is never put again: what
/// Redis has lost stays lost, and frozen. Returns what Redis has decided on the newest order.
async fn push(pool: &Pool, deals: &Deals, row: &Row) -> Result<Decision, Error<Refusal>> {
    let deal_id = &row.wish.deal_id;
    if !row.armed {
        there(deals.put(&row.wish).await)?;
        rows::armed(pool, deal_id).await?;
    }
    if there(deals.arm(deal_id).await)?.is_none() {
        return archived(pool, row).await;
    }
    let prize = row.wanted.prize.clone();
    let terms = prize.map(|prize| Terms { prize, ..row.wish.terms.clone() });
    let Some(updated) = there(deals.update(deal_id, row.version, &row.wanted, terms.as_ref()).await)? else {
        return archived(pool, row).await;
    };
    order::applied(pool, row, &updated).await?;
    Ok(updated.decision)
}

/// Of an archived deal nothing can be changed.
async fn archived(pool: &Pool, row: &Row) -> Result<Decision, Error<Refusal>> {
    order::came_too_late(pool, row).await?;
    Ok(Decision::DealOver)
}

/// A deal that is missing was noted as armed and is lost; nothing stands for one that is archived. Where Redis has no room, the
/// order is written down already, and the pusher will finish it: nobody may be told that nothing happened.
fn there<T>(answer: Result<Answer<T>, CallError>) -> Result<Option<T>, Error<Refusal>> {
    match answer {
        Ok(Answer::Found(found)) => Ok(Some(found)),
        Ok(Answer::Archived) => Ok(None),
        Ok(Answer::Frozen | Answer::Missing) => Err(Refusal::Frozen.into()),
        Err(full @ CallError::Full) => Err(Error::unavailable(full)),
        Err(error) => Err(error.into()),
    }
}

fn decided(decision: Decision) -> Result<(), Error<Refusal>> {
    Err(match decision {
        Decision::Done => return Ok(()),
        Decision::PassedOver => Error::Unavailable(Fault::new("a newer order was decided on first")),
        Decision::DealOver => Refusal::DealOver.into(),
        Decision::DealStarted => Refusal::DealStarted.into(),
        Decision::StockShrinks => Refusal::StockShrinks.into(),
        Decision::ClosesEarly => deal::closes_early().into(),
    })
}
