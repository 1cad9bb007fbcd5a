//! Archiving: a deal leaves Redis when each of its coupons is over (given back, or past its time, redeemed or not) and all of it
//! has arrived in PostgreSQL, which answers for it from then on. A stub stays, so that nobody takes it for lost.
//!
//! PostgreSQL is told first how the deal stands; then Redis lets it go, in one step and only if nothing of it has changed since
//! it was looked at; then PostgreSQL notes that it has left. Whoever dies in between leaves a deal that the next turn finishes.

use std::time::Duration;

use bus::arrival;
use bus::journal::{Position, Tag};
use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::Pool;

use crate::deal::{Course, DealId, Refusal};
use crate::postgres::archive as rows;
use crate::redis::{Answer, Archival, Deals};

/// How often a page of closed deals is looked at.
const TURN_EVERY: Duration = Duration::from_secs(5);
/// Deals looked at in one turn.
const PAGE: i64 = 100;

/// Starts to archive what is over: page after page, one each turn, until told to stop. Several processes may do it at once.
pub fn spawn(process: &Process, pool: &Pool, deals: &Deals) {
    let (pool, deals) = (pool.clone(), deals.clone());
    process.spawn(Stage::Work, "archive", |told| async move {
        let mut after = String::new();
        while told.run_until_cancelled(tokio::time::sleep(TURN_EVERY)).await.is_some() {
            match turn(&pool, &deals, &after).await {
                Ok(last) => after = last.unwrap_or_default(),
                Err(error) => tracing::warn!(cause = error.chain(), "deals cannot be archived now"),
            }
        }
        Ok(())
    });
}

/// One page. The name of its last deal, if there was any.
async fn turn(pool: &Pool, deals: &Deals, after: &str) -> Result<Option<String>, Error<Refusal>> {
    let page = rows::closed(pool, after, PAGE).await?;
    for deal in page.iter().filter(|deal| deal.over) {
        match deal_that_is_over(pool, deals, &deal.deal_id).await {
            Ok(true) => tracing::info!(deal = %deal.deal_id, "a deal is over with all its coupons, and has left Redis"),
            Ok(false) => {}
            // Its Redis node may be away; those of the others need not be.
            Err(error) => tracing::warn!(deal = %deal.deal_id, cause = error.chain(), "a deal cannot be archived now"),
        }
    }
    Ok(page.last().map(|deal| deal.deal_id.to_string()))
}

/// Archives one deal, if PostgreSQL has all of it. Whether it has left Redis.
async fn deal_that_is_over(pool: &Pool, deals: &Deals, deal_id: &DealId) -> Result<bool, Error<Refusal>> {
    let course = match deals.look(deal_id).await? {
        Answer::Found(course) => course,
        Answer::Archived => return Ok(rows::left(pool, deal_id).await.map(|()| true)?),
        Answer::Frozen | Answer::Missing => return Ok(false),
    };
    if !course.is_over() || !has_arrived(pool, deal_id, &course).await? {
        return Ok(false);
    }
    rows::keep_course(pool, deal_id, &course).await?;
    match deals.archive(deal_id, course.entry).await? {
        Answer::Found(Archival::Done) | Answer::Archived => Ok(rows::left(pool, deal_id).await.map(|()| true)?),
        Answer::Found(Archival::NotNow) | Answer::Frozen | Answer::Missing => Ok(false),
    }
}

/// Whether all that Redis knows of the deal has taken effect, and each of its coupons is over: one that was on its way when the
/// page was read may be alive.
async fn has_arrived(pool: &Pool, deal_id: &DealId, course: &Course) -> Result<bool, Error<Refusal>> {
    let last = Position { epoch: course.epoch, entry: course.entry };
    let tag = Tag::of(deal_id.as_str());
    // The name of another deal may begin with this one and a "-": then this one waits for that, and no harm is done.
    if !arrival::is_past(pool, tag, last).await?
        || arrival::is_parked(pool, crate::SERVICE, tag, &format!("{deal_id}-")).await?
    {
        return Ok(false);
    }
    let arrived = rows::arrived(pool, deal_id, course.now_ms).await?;
    Ok((arrived.issued, arrived.live, arrived.inferred, arrived.usable) == (course.issued, course.live, 0, 0))
}
