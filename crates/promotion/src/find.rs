//! Looking: a deal as it stands, what became of a claim, a coupon as it stands, lists.

mod list;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kit::error::Error;
use kit::postgres::{Failure, Pool};

pub use list::{Listed, Of, coupons, deals};

use crate::coupon::{Coupon, State, parse_id};
use crate::deal::{Course, Deal, DealId, Refusal, UserId};
use crate::postgres::coupon as rows;
use crate::postgres::deal::{self, Fate, Row, fate};
use crate::redis::{Answer, Deals, Holding};

/// How often it is looked whether a coupon that was issued has arrived in PostgreSQL.
const ARRIVAL_EVERY: Duration = Duration::from_millis(50);

/// The deal as it stands now.
///
/// # Errors
/// [`Refusal::DealNotFound`]; [`Error::Unavailable`] where a store is away.
pub async fn deal(pool: &Pool, deals: &Deals, deal_id: &DealId) -> Result<Deal, Error<Refusal>> {
    let row = deal::get(pool, deal_id).await?.ok_or(Refusal::DealNotFound)?;
    standing(pool, deals, row).await
}

/// A deal's row, and where it stands now.
async fn standing(pool: &Pool, deals: &Deals, row: Row) -> Result<Deal, Error<Refusal>> {
    let course = match deals.look(&row.wish.deal_id).await? {
        Answer::Found(course) => Some(course),
        Answer::Archived => archived_course(pool, &row).await?,
        Answer::Missing if fate(pool, &row.wish.deal_id).await? == Fate::Archived => {
            archived_course(pool, &row).await?
        }
        Answer::Frozen | Answer::Missing => None,
    };
    Ok(Deal { wish: row.wish, course })
}

/// How an archived deal stands: as it stood when it left Redis. The row may have been read before that was noted.
async fn archived_course(pool: &Pool, row: &Row) -> Result<Option<Course>, Error<Refusal>> {
    match row.course {
        Some(course) => Ok(Some(course)),
        None => Ok(deal::get(pool, &row.wish.deal_id).await?.and_then(|row| row.course)),
    }
}

/// What Redis has of a deal; nothing where PostgreSQL answers for it, because it is archived.
///
/// # Errors
/// [`Refusal::Frozen`]: its node may not serve it, or has lost it; `unknown` where there is no such deal.
pub async fn known<T>(
    pool: &Pool,
    deal_id: &DealId,
    answer: Answer<T>,
    unknown: Refusal,
) -> Result<Option<T>, Error<Refusal>> {
    match answer {
        Answer::Found(found) => Ok(Some(found)),
        Answer::Archived => Ok(None),
        Answer::Frozen => Err(Refusal::Frozen.into()),
        Answer::Missing => match fate(pool, deal_id).await? {
            // What Redis has lost of an archived deal is nothing.
            Fate::Archived => Ok(None),
            Fate::Made => Err(Refusal::Frozen.into()),
            Fate::Unknown => Err(unknown.into()),
        },
    }
}

/// What became of a claim.
///
/// # Errors
/// [`Refusal::DealNotFound`], [`Refusal::CouponNotFound`], [`Refusal::Frozen`]; [`Error::Unavailable`].
pub async fn claim(pool: &Pool, deals: &Deals, deal_id: DealId, user_id: UserId) -> Result<Coupon, Error<Refusal>> {
    let answer = deals.find(&deal_id, &user_id).await?;
    match known(pool, &deal_id, answer, Refusal::DealNotFound).await? {
        Some(Ok(holding)) => Ok(held(deal_id, user_id, holding)),
        Some(Err(_)) => Err(Refusal::CouponNotFound.into()),
        None => {
            let coupon = rows::of_holder(pool, &deal_id, &user_id).await?.ok_or(Refusal::CouponNotFound)?;
            Ok(coupon.at(kit::clock::now()))
        }
    }
}

/// A coupon as it stands. Whose it is only PostgreSQL knows, so a coupon that was just issued is waited for: until the caller's
/// deadline, and not a moment where it was never issued.
///
/// # Errors
/// [`Refusal::CouponNotFound`], [`Refusal::Frozen`]; [`Error::Unavailable`].
pub async fn coupon(pool: &Pool, deals: &Deals, deal_id: DealId, rank: i64) -> Result<Coupon, Error<Refusal>> {
    loop {
        if let Some(coupon) = rows::get(pool, &deal_id, rank).await? {
            return standing_coupon(pool, deals, coupon).await;
        }
        let answer = deals.look(&deal_id).await?;
        match known(pool, &deal_id, answer, Refusal::CouponNotFound).await? {
            Some(course) if rank <= course.issued => tokio::time::sleep(ARRIVAL_EVERY).await,
            Some(_) | None => return Err(Refusal::CouponNotFound.into()),
        }
    }
}

async fn standing_coupon(pool: &Pool, deals: &Deals, coupon: Coupon) -> Result<Coupon, Error<Refusal>> {
    let (deal_id, rank) = (coupon.deal_id.clone(), coupon.rank);
    let answer = deals.find(&deal_id, &coupon.user_id).await?;
    match known(pool, &deal_id, answer, Refusal::CouponNotFound).await? {
        Some(Ok(holding)) if holding.grant.rank == rank => Ok(held(deal_id, coupon.user_id, holding)),
        // A row that Redis does not know: it is frozen until an operator has looked.
        Some(_) => Err(Refusal::Frozen.into()),
        None => {
            // The row may have been read before the deal was archived: its last word is there now.
            let last = rows::get(pool, &deal_id, rank).await?.unwrap_or(coupon);
            Ok(last.at(kit::clock::now()))
        }
    }
}

/// The coupons that these orders have redeemed, by order, as it has arrived in PostgreSQL. An order that has none is missing.
///
/// # Errors
/// PostgreSQL is away.
pub async fn redeemed_by(pool: &Pool, order_ids: &[String]) -> Result<HashMap<String, Vec<String>>, Failure> {
    let mut redeemed: HashMap<String, Vec<String>> = HashMap::new();
    for (order_id, deal_id, rank) in rows::redeemed_by(pool, order_ids).await? {
        redeemed.entry(order_id).or_default().push(format!("{deal_id}-{rank}"));
    }
    Ok(redeemed)
}

/// Those of these coupons whose deal is archived: nothing of them changes any more, and an order that is undone now keeps what is over.
///
/// # Errors
/// PostgreSQL is away.
pub async fn archived(pool: &Pool, coupon_ids: &[String]) -> Result<HashSet<String>, Failure> {
    let deal = |coupon_id: &String| parse_id(coupon_id).ok().map(|(deal_id, _)| deal_id.to_string());
    let deals: Vec<String> = coupon_ids.iter().filter_map(deal).collect();
    let archived = crate::postgres::archive::of(pool, &deals).await?;
    let is_archived = |coupon_id: &&String| deal(coupon_id).is_some_and(|deal_id| archived.contains(&deal_id));
    Ok(coupon_ids.iter().filter(is_archived).cloned().collect())
}

/// What Redis says of a coupon, as a coupon.
#[must_use]
pub fn held(deal_id: DealId, user_id: UserId, holding: Holding) -> Coupon {
    let coupon = Coupon::issued(deal_id, user_id, &holding.terms, holding.grant);
    match (holding.state, holding.order_id) {
        (State::Returned, _) => coupon.returned(),
        (_, Some(order_id)) => coupon.redeemed(order_id),
        (State::Issued | State::Redeemed | State::Expired, None) => coupon.at(kit::clock::from_millis(holding.now_ms)),
    }
}
