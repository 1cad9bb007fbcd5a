//! What becomes of a coupon after it was issued: used by an order, taken back from it, given back. Each may be repeated.
//!
//! An undo may come before what it undoes: an order that has restored a coupon can never redeem it afterwards. For a deal that
//! was archived PostgreSQL answers; there nothing changes any more.

use bus::journal::Tag;
use bus::relay::journal::Bell;
use kit::error::Error;
use kit::postgres::Pool;

use crate::coupon::{Coupon, State};
use crate::deal::{DealId, OrderId, Refusal, UserId};
use crate::find;
use crate::postgres::coupon as rows;
use crate::redis::{Deals, Holding, Unfit};

/// When to come back after a refusal for lack of room.
const FULL_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// What these verbs work with.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// Coupons as they have arrived.
    pub pool: &'a Pool,
    /// Coupons as they stand.
    pub deals: &'a Deals,
    /// Wakes the relay.
    pub bell: &'a Bell,
}

/// Names a coupon: its deal and its rank.
pub type Name = (DealId, i64);

impl Stores<'_> {
    /// Uses a coupon for an order.
    ///
    /// # Errors
    /// [`Refusal::CouponNotFound`], [`Refusal::NotOwner`], [`Refusal::CouponReturned`], [`Refusal::CouponRedeemed`],
    /// [`Refusal::CouponExpired`], [`Refusal::CouponOtherOrder`], [`Refusal::Frozen`]; [`Error::Overloaded`] where nothing
    /// happened; [`Error::Unavailable`] where it may or may not have.
    pub async fn redeem(self, (deal_id, rank): Name, user: UserId, order: OrderId) -> Result<Coupon, Error<Refusal>> {
        let trace = kit::telemetry::traceparent().unwrap_or_default();
        let answer = self.deals.redeem((&deal_id, rank), &user, &order, &trace).await?;
        match find::known(self.pool, &deal_id, answer, Refusal::CouponNotFound).await? {
            Some(Ok(holding)) => Ok(self.changed(deal_id, user, holding)),
            Some(Err(unfit)) => Err(refusal(unfit)),
            // As `coupon.lua` decides, of coupons that are all over.
            None => {
                let coupon = self.archived(&deal_id, rank, Some(&user)).await?;
                match coupon.state {
                    State::Redeemed if coupon.order_id.as_deref() == Some(order.as_str()) => Ok(coupon),
                    State::Redeemed => Err(Refusal::CouponRedeemed.into()),
                    State::Returned => Err(Refusal::CouponReturned.into()),
                    State::Issued | State::Expired => Err(Refusal::CouponExpired.into()),
                }
            }
        }
    }

    /// Takes a coupon back from an order, which can never redeem it from now on.
    ///
    /// # Errors
    /// [`Refusal::CouponNotFound`], [`Refusal::CouponOtherOrder`], [`Refusal::Frozen`]; [`Error::Unavailable`] where it may or
    /// may not have happened.
    pub async fn restore(self, (deal_id, rank): Name, order: OrderId) -> Result<Coupon, Error<Refusal>> {
        match self.take_back((deal_id.clone(), rank), order).await? {
            Some(coupon) => Ok(coupon),
            None => find::coupon(self.pool, self.deals, deal_id, rank).await,
        }
    }

    /// The same for whoever does not need to know the coupon: nothing where no order has ever redeemed it, so that its holder would
    /// have to be looked for.
    ///
    /// # Errors
    /// Those of [`Stores::restore`].
    pub async fn take_back(self, (deal_id, rank): Name, order: OrderId) -> Result<Option<Coupon>, Error<Refusal>> {
        let trace = kit::telemetry::traceparent().unwrap_or_default();
        let answer = self.deals.restore((&deal_id, rank), &order, &trace).await?;
        match find::known(self.pool, &deal_id, answer, Refusal::CouponNotFound).await? {
            Some(Ok(Some((user, holding)))) => Ok(Some(self.changed(deal_id, user, holding))),
            Some(Ok(None)) => Ok(None),
            Some(Err(unfit)) => Err(refusal(unfit)),
            None => self.archived(&deal_id, rank, None).await.map(Some),
        }
    }

    /// Gives a coupon back: its seat is free for somebody else, its rank is not.
    ///
    /// # Errors
    /// [`Refusal::CouponNotFound`], [`Refusal::NotOwner`], [`Refusal::CouponRedeemed`], [`Refusal::CouponExpired`],
    /// [`Refusal::Frozen`]; [`Error::Unavailable`] where it may or may not have happened.
    pub async fn give_back(self, (deal_id, rank): Name, user: UserId) -> Result<Coupon, Error<Refusal>> {
        let trace = kit::telemetry::traceparent().unwrap_or_default();
        let answer = self.deals.give_back((&deal_id, rank), &user, &trace).await?;
        match find::known(self.pool, &deal_id, answer, Refusal::CouponNotFound).await? {
            Some(Ok(holding)) => Ok(self.changed(deal_id, user, holding)),
            Some(Err(unfit)) => Err(refusal(unfit)),
            None => {
                let coupon = self.archived(&deal_id, rank, Some(&user)).await?;
                match coupon.state {
                    State::Returned => Ok(coupon),
                    State::Redeemed => Err(Refusal::CouponRedeemed.into()),
                    State::Issued | State::Expired => Err(Refusal::CouponExpired.into()),
                }
            }
        }
    }

    fn changed(self, deal_id: DealId, user: UserId, holding: Holding) -> Coupon {
        self.bell.ring(Tag::of(deal_id.as_str()));
        find::held(deal_id, user, holding)
    }

    /// The coupon of an archived deal, if it is this user's.
    async fn archived(self, deal_id: &DealId, rank: i64, user: Option<&UserId>) -> Result<Coupon, Error<Refusal>> {
        let coupon = rows::get(self.pool, deal_id, rank).await?.ok_or(Refusal::CouponNotFound)?;
        if user.is_some_and(|user| coupon.user_id != *user) {
            return Err(Refusal::NotOwner.into());
        }
        Ok(coupon.at(kit::clock::now()))
    }
}

fn refusal(unfit: Unfit) -> Error<Refusal> {
    match unfit {
        Unfit::Refused(refusal) => refusal.into(),
        Unfit::Full => Error::Overloaded { retry_after: FULL_RETRY },
    }
}
