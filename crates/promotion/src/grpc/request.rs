//! Protobuf -> noun, checked field by field.

use kit::error::Invalid;
use prost::Message as _;
use prost_types::{Duration, Timestamp};
use proto::promotion::v1 as pb;
use proto::r#type::v1 as types;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::coupon::{self, Coupon, State};
use crate::deal::{self, DealId, Discount, Money, Off, OrderId, Patch, Prize, RequestId, Terms, UserId, VenueId, Wish};
use crate::schedule::Request;

pub(super) fn create_deal(mut asked: pb::CreateDealRequest) -> Result<(Wish, Option<Request>), Invalid> {
    let request_id = std::mem::take(&mut asked.request_id);
    let request = if request_id.is_empty() {
        None
    } else {
        let digest = Sha256::digest(asked.encode_to_vec()).to_vec();
        Some(Request { request_id: RequestId::parse(&request_id)?, digest })
    };
    let deal = asked.deal.ok_or_else(|| Invalid::new("deal", "is missing"))?;
    let wish = Wish {
        deal_id: if deal.deal_id.is_empty() { DealId::random() } else { inside(DealId::parse(&deal.deal_id))? },
        title: deal.title,
        terms: Terms { venue_id: inside(VenueId::parse(&deal.venue_id))?.to_string(), prize: prize(deal.prize)? },
        stock: deal.stock,
        opens_at: match deal.opens_at {
            Some(opens_at) => instant("deal.opens_at", opens_at)?,
            None => kit::clock::now(),
        },
        closes_at: match deal.closes_at {
            Some(closes_at) => instant("deal.closes_at", closes_at)?,
            None => return Err(Invalid::new("deal.closes_at", "is missing")),
        },
        pass_required: deal.pass_required,
    };
    wish.check()?;
    Ok((wish, request))
}

pub(super) fn deal_id(text: &str) -> Result<DealId, Invalid> {
    DealId::parse(text)
}

pub(super) fn update_deal(asked: pb::UpdateDealRequest) -> Result<(DealId, Patch), Invalid> {
    let deal = asked.deal.ok_or_else(|| Invalid::new("deal", "is missing"))?;
    let deal_id = inside(DealId::parse(&deal.deal_id))?;
    let paths = asked.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        return Err(Invalid::new("update_mask", format!("is empty; it says what to change: {CHANGEABLE}")));
    }
    let mut patch = Patch::default();
    for path in paths {
        match path.as_str() {
            "title" => patch.title = Some(deal.title.clone()),
            "stock" => patch.stock = Some(deal.stock),
            "opens_at" => patch.opens_ms = Some(millis("deal.opens_at", deal.opens_at)?),
            "closes_at" => patch.closes_ms = Some(millis("deal.closes_at", deal.closes_at)?),
            "prize" => patch.prize = Some(prize(deal.prize.clone())?),
            "pass_required" => patch.pass_required = Some(deal.pass_required),
            other => {
                return Err(Invalid::new("update_mask", format!("has {other:?}; it may have {CHANGEABLE}")));
            }
        }
    }
    patch.check()?;
    Ok((deal_id, patch))
}

/// What an update mask may name.
const CHANGEABLE: &str = "title, stock, opens_at, closes_at, prize, pass_required";

fn millis(field: &'static str, timestamp: Option<Timestamp>) -> Result<i64, Invalid> {
    let timestamp = timestamp.ok_or_else(|| Invalid::new(field, "is missing"))?;
    Ok(kit::clock::to_millis(instant(field, timestamp)?))
}

pub(super) fn coupon_id(text: &str) -> Result<(DealId, i64), Invalid> {
    coupon::parse_id(text)
}

pub(super) fn redeem_coupon(asked: &pb::RedeemCouponRequest) -> Result<((DealId, i64), UserId, OrderId), Invalid> {
    Ok((coupon::parse_id(&asked.coupon_id)?, UserId::parse(&asked.user_id)?, OrderId::parse(&asked.order_id)?))
}

pub(super) fn restore_coupon(asked: &pb::RestoreCouponRequest) -> Result<((DealId, i64), OrderId), Invalid> {
    Ok((coupon::parse_id(&asked.coupon_id)?, OrderId::parse(&asked.order_id)?))
}

pub(super) fn return_coupon(asked: &pb::ReturnCouponRequest) -> Result<((DealId, i64), UserId), Invalid> {
    Ok((coupon::parse_id(&asked.coupon_id)?, UserId::parse(&asked.user_id)?))
}

pub(super) fn claim(deal_id: &str, user_id: &str) -> Result<(DealId, UserId), Invalid> {
    Ok((DealId::parse(deal_id)?, UserId::parse(user_id)?))
}

pub(super) fn deal_state(number: i32) -> Result<Option<deal::State>, Invalid> {
    match pb::DealState::try_from(number) {
        Ok(pb::DealState::Unspecified) => Ok(None),
        Ok(pb::DealState::Scheduled) => Ok(Some(deal::State::Scheduled)),
        Ok(pb::DealState::Open) => Ok(Some(deal::State::Open)),
        Ok(pb::DealState::SoldOut) => Ok(Some(deal::State::SoldOut)),
        Ok(pb::DealState::Closed) => Ok(Some(deal::State::Closed)),
        Ok(pb::DealState::Frozen) => Ok(Some(deal::State::Frozen)),
        Err(_) => Err(Invalid::new("state", format!("is {number}, which is no state of a deal"))),
    }
}

pub(super) fn coupon_state(number: i32) -> Result<Option<State>, Invalid> {
    match pb::CouponState::try_from(number) {
        Ok(pb::CouponState::Unspecified) => Ok(None),
        Ok(pb::CouponState::Issued) => Ok(Some(State::Issued)),
        Ok(pb::CouponState::Redeemed) => Ok(Some(State::Redeemed)),
        Ok(pb::CouponState::Returned) => Ok(Some(State::Returned)),
        Ok(pb::CouponState::Expired) => Ok(Some(State::Expired)),
        Err(_) => Err(Invalid::new("state", format!("is {number}, which is no state of a coupon"))),
    }
}

/// The coupon that an event carries.
///
/// # Errors
/// Names the field that is not as it should be.
pub fn coupon_from(coupon: pb::Coupon) -> Result<Coupon, Invalid> {
    let state = coupon_state(coupon.state)?.ok_or_else(|| Invalid::new("state", "is missing"))?;
    Ok(Coupon {
        deal_id: DealId::parse(&coupon.deal_id)?,
        rank: coupon.rank,
        user_id: UserId::parse(&coupon.user_id)?,
        venue_id: coupon.venue_id,
        prize: prize(coupon.prize)?,
        state,
        claimed_at: match coupon.claimed_at {
            Some(claimed_at) => instant("claimed_at", claimed_at)?,
            None => return Err(Invalid::new("claimed_at", "is missing")),
        },
        expires_at: coupon.expires_at.map(|expires_at| instant("expires_at", expires_at)).transpose()?,
        order_id: Some(coupon.order_id).filter(|order_id| !order_id.is_empty()),
    })
}

fn prize(prize: Option<pb::Prize>) -> Result<Prize, Invalid> {
    match prize.and_then(|prize| prize.kind) {
        Some(pb::prize::Kind::Discount(discount)) => Ok(Prize::Discount(self::discount(discount)?)),
        Some(pb::prize::Kind::Points(_)) => {
            Err(Invalid::new("deal.prize.points", "cannot be paid out yet; choose a discount"))
        }
        None => Err(Invalid::new("deal.prize", "is missing")),
    }
}

fn discount(discount: pb::Discount) -> Result<Discount, Invalid> {
    let off = match discount.off {
        Some(pb::discount::Off::Percent(percent)) => Off::Percent(percent),
        Some(pb::discount::Off::Amount(amount)) => Off::Amount(money(amount)),
        None => return Err(Invalid::new("deal.prize.discount", "has neither percent nor amount")),
    };
    Ok(Discount {
        off,
        max_amount: discount.max_amount.map(money),
        min_order: discount.min_order.map(money),
        valid_for_seconds: discount.valid_for.map(seconds).transpose()?,
    })
}

fn money(money: types::Money) -> Money {
    Money { currency: money.currency, minor_units: money.minor_units }
}

fn seconds(duration: Duration) -> Result<i64, Invalid> {
    if duration.nanos == 0 {
        Ok(duration.seconds)
    } else {
        Err(Invalid::new("deal.prize.discount.valid_for", "is not in whole seconds"))
    }
}

/// To the millisecond: what Redis counts in.
fn instant(field: &'static str, timestamp: Timestamp) -> Result<OffsetDateTime, Invalid> {
    let out_of_range = || Invalid::new(field, "is not an instant between the years 1970 and 9999");
    if !(0..1_000_000_000).contains(&timestamp.nanos) || timestamp.seconds < 0 {
        return Err(out_of_range());
    }
    let time = OffsetDateTime::from_unix_timestamp(timestamp.seconds).map_err(|_| out_of_range())?;
    Ok(time + time::Duration::milliseconds(i64::from(timestamp.nanos / 1_000_000)))
}

/// The same complaint about a field of the deal inside the request.
fn inside<T>(checked: Result<T, Invalid>) -> Result<T, Invalid> {
    checked.map_err(|invalid| Invalid::new(format!("deal.{}", invalid.field), invalid.description))
}
