//! Ordering a deal: written down, put into Redis unarmed, known to be there, armed. Whatever was begun is finished, by a
//! repeat of the request or by the pusher.

use std::time::Duration;

use bus::journal::Tag;
use kit::error::{Error, Fault};
use kit::postgres::Pool;
use kit::redis::CallError;
use tokio_util::sync::CancellationToken;

use crate::deal::{Deal, DealId, Refusal, RequestId, Wish};
use crate::find;
use crate::postgres::deal::{self as rows, Created, Row};
use crate::redis::{Answer, Deals};

/// How often the pusher looks for what was begun and not finished.
const PUSH_EVERY: Duration = Duration::from_secs(5);
/// Deals that the pusher reads at once.
const PUSH_PAGE: i64 = 100;

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

/// Orders another stock. What is wished for is written down first, with a version that only PostgreSQL counts; Redis
/// decides by its own record, and its answer is what readers see.
///
/// # Errors
/// [`Refusal::DealNotFound`], [`Refusal::Frozen`], [`Refusal::DealOver`], [`Refusal::StockShrinks`];
/// [`Error::Unavailable`] where it may or may not come to be.
pub async fn update(pool: &Pool, deals: &Deals, deal_id: &DealId, stock: i64) -> Result<Deal, Error<Refusal>> {
    let row = rows::wish(pool, deal_id, stock).await?.ok_or(Refusal::DealNotFound)?;
    let refusal = push(pool, deals, &row).await?;
    match refusal {
        Some(refusal) => Err(refusal.into()),
        None => find::deal(pool, deals, deal_id).await,
    }
}

/// Finishes what was begun: every few seconds, until told to stop.
pub async fn run_pusher(pool: Pool, deals: Deals, told: CancellationToken) -> anyhow::Result<()> {
    while told.run_until_cancelled(tokio::time::sleep(PUSH_EVERY)).await.is_some() {
        let outcomes = [push_pending(&pool, &deals).await, forget(&pool).await];
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = chain(&error), "what was begun could not be finished now");
        }
    }
    Ok(())
}

/// Page by page: deals that cannot be finished must not keep the later ones waiting.
async fn push_pending(pool: &Pool, deals: &Deals) -> Result<(), Error<Refusal>> {
    let mut after = String::new();
    loop {
        let page = rows::pending(pool, &after, PUSH_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.wish.deal_id.to_string();
        for row in &page {
            let deal_id = &row.wish.deal_id;
            match push(pool, deals, row).await {
                Ok(_) => tracing::info!(deal = %deal_id, "a deal that was begun is finished"),
                Err(Error::Refused(refusal)) => tracing::warn!(deal = %deal_id, ?refusal, "a deal cannot be finished"),
                // Its Redis node may be away; those of the others need not be.
                Err(error) => tracing::warn!(deal = %deal_id, cause = chain(&error), "a deal cannot be finished now"),
            }
        }
    }
}

/// What happened, and why, in one line.
fn chain(error: &Error<Refusal>) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn forget(pool: &Pool) -> Result<(), Error<Refusal>> {
    rows::forget_requests(pool).await?;
    Ok(())
}

/// Puts, notes, arms, has the newest order decided, notes. A deal that was once noted as armed is never put again: what
/// Redis has lost stays lost, and frozen. Returns why Redis refused the newest order, if it did.
async fn push(pool: &Pool, deals: &Deals, row: &Row) -> Result<Option<Refusal>, Error<Refusal>> {
    let deal_id = &row.wish.deal_id;
    if !row.armed {
        there(deals.put(&row.wish).await)?;
        rows::armed(pool, deal_id).await?;
    }
    there(deals.arm(deal_id).await)?;
    let updated = there(deals.update(deal_id, row.version, row.wanted_stock).await)?;
    rows::applied(pool, deal_id, row.version, updated.stock).await?;
    if updated.refusal.is_none() && updated.stock < row.wanted_stock {
        return Err(Error::Unavailable(Fault::new("a newer order was decided first, and this one passed over")));
    }
    Ok(updated.refusal)
}

/// A deal that is missing was noted as armed and is lost. Where Redis has no room, the order is written down already, and the
/// pusher will finish it: nobody may be told that nothing happened.
fn there<T>(answer: Result<Answer<T>, CallError>) -> Result<T, Error<Refusal>> {
    match answer {
        Ok(Answer::Found(found)) => Ok(found),
        Ok(Answer::Frozen | Answer::Missing) => Err(Refusal::Frozen.into()),
        Err(full @ CallError::Full) => Err(Error::unavailable(full)),
        Err(error) => Err(error.into()),
    }
}
