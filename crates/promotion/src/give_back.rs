//! Giving a coupon back: its seat is free for somebody else, its rank is not.

use bus::journal::Tag;
use bus::relay::Bell;
use kit::error::Error;
use kit::postgres::Pool;

use crate::coupon::Coupon;
use crate::deal::{DealId, Refusal, UserId};
use crate::postgres::deal;
use crate::redis::{Answer, Deals, GivenBack};

/// Gives a coupon back. A repeat changes nothing and answers the same.
///
/// # Errors
/// [`Refusal::CouponNotFound`], [`Refusal::NotOwner`], [`Refusal::DealNotFound`], [`Refusal::Frozen`];
/// [`Error::Unavailable`] where it may or may not have happened.
pub async fn coupon(
    pool: &Pool,
    deals: &Deals,
    bell: &Bell,
    (deal_id, rank): (DealId, i64),
    user_id: UserId,
) -> Result<Coupon, Error<Refusal>> {
    let trace = kit::telemetry::traceparent().unwrap_or_default();
    match deals.give_back(&deal_id, &user_id, rank, &trace).await? {
        Answer::Found(GivenBack::Yes(terms, grant)) => {
            bell.ring(Tag::of(deal_id.as_str()));
            Ok(Coupon::issued(deal_id, user_id, &terms, grant).returned())
        }
        Answer::Found(GivenBack::NotOwner) => Err(Refusal::NotOwner.into()),
        Answer::Found(GivenBack::NotFound) => Err(Refusal::CouponNotFound.into()),
        Answer::Missing if !deal::exists(pool, &deal_id).await? => Err(Refusal::DealNotFound.into()),
        Answer::Frozen | Answer::Missing => Err(Refusal::Frozen.into()),
    }
}
