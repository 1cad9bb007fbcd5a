//! Looking: a deal as it stands, what became of a claim, lists of coupons.

use kit::error::Error;
use kit::postgres::Pool;

use crate::coupon::{Coupon, State};
use crate::deal::{Deal, DealId, Refusal, UserId};
use crate::postgres::coupon::{self as rows, After};
use crate::postgres::deal;
use crate::redis::{Answer, Deals, Outcome};

/// Whose coupons are asked for.
#[derive(Debug, Clone)]
pub enum Of {
    /// One user's, newest first.
    User(UserId),
    /// One deal's, highest rank first.
    Deal(DealId),
}

/// The deal as it stands now.
///
/// # Errors
/// [`Refusal::DealNotFound`]; [`Error::Unavailable`] where a store is away.
pub async fn deal(pool: &Pool, deals: &Deals, deal_id: &DealId) -> Result<Deal, Error<Refusal>> {
    let row = deal::get(pool, deal_id).await?.ok_or(Refusal::DealNotFound)?;
    let course = match deals.look(deal_id).await? {
        Answer::Found(course) => Some(course),
        Answer::Frozen | Answer::Missing => None,
    };
    Ok(Deal { wish: row.wish, course })
}

/// What became of a claim.
///
/// # Errors
/// [`Refusal::DealNotFound`], [`Refusal::CouponNotFound`], [`Refusal::Frozen`]; [`Error::Unavailable`].
pub async fn claim(pool: &Pool, deals: &Deals, deal_id: DealId, user_id: UserId) -> Result<Coupon, Error<Refusal>> {
    match deals.find(&deal_id, &user_id).await? {
        Answer::Found((terms, Some(Outcome::Held(grant)))) => {
            let coupon = Coupon::issued(deal_id, user_id, &terms, grant);
            Ok(Coupon { state: coupon.state_at(kit::clock::now()), ..coupon })
        }
        Answer::Found((terms, Some(Outcome::Returned(grant)))) => {
            Ok(Coupon::issued(deal_id, user_id, &terms, grant).returned())
        }
        Answer::Found(_) => Err(Refusal::CouponNotFound.into()),
        Answer::Frozen => Err(Refusal::Frozen.into()),
        Answer::Missing if deal::exists(pool, &deal_id).await? => Err(Refusal::Frozen.into()),
        Answer::Missing => Err(Refusal::DealNotFound.into()),
    }
}

/// One page of coupons, from PostgreSQL.
///
/// # Errors
/// [`Error::Unavailable`] where PostgreSQL is away.
pub async fn coupons(
    pool: &Pool,
    of: &Of,
    state: Option<State>,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<Coupon>, Error<Refusal>> {
    Ok(match of {
        Of::User(user_id) => rows::of_user(pool, user_id, state, after, limit).await?,
        Of::Deal(deal_id) => rows::of_deal(pool, deal_id, state, after, limit).await?,
    })
}
