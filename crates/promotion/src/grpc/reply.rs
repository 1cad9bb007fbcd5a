//! Noun -> protobuf.

use prost_types::{Duration, Timestamp};
use proto::promotion::v1 as pb;
use proto::r#type::v1 as types;
use time::OffsetDateTime;

use crate::coupon::{self, Coupon};
use crate::deal::{self, Deal, Money, Off, Prize};
use crate::watch::View;

pub(super) fn deal(deal: &Deal) -> pb::Deal {
    let wish = &deal.wish;
    // What Redis has decided is what readers see; where it cannot be asked, what was ordered.
    let course = deal.course;
    let time = |ms: Option<i64>, wished: OffsetDateTime| timestamp(ms.map_or(wished, kit::clock::from_millis));
    pb::Deal {
        deal_id: wish.deal_id.to_string(),
        title: wish.title.clone(),
        venue_id: wish.terms.venue_id.clone(),
        stock: course.map_or(wish.stock, |course| course.stock),
        opens_at: Some(time(course.map(|course| course.opens_ms), wish.opens_at)),
        closes_at: Some(time(course.map(|course| course.closes_ms), wish.closes_at)),
        prize: Some(prize(&wish.terms.prize)),
        pass_required: wish.pass_required,
        state: deal_state(deal.state()).into(),
        remaining: deal.remaining(),
        epoch: course.map_or(0, |course| course.epoch),
        round: course.map_or(0, |course| course.round),
    }
}

pub(super) fn view(view: &View) -> pb::WatchDealResponse {
    pb::WatchDealResponse {
        remaining: view.remaining,
        state: deal_state(view.state).into(),
        epoch: view.epoch,
        round: view.round,
    }
}

/// The coupon as clients and events have it.
#[must_use]
pub fn coupon(coupon: &Coupon) -> pb::Coupon {
    pb::Coupon {
        coupon_id: coupon.id(),
        deal_id: coupon.deal_id.to_string(),
        venue_id: coupon.venue_id.clone(),
        user_id: coupon.user_id.to_string(),
        rank: coupon.rank,
        prize: Some(prize(&coupon.prize)),
        state: coupon_state(coupon.state).into(),
        claimed_at: Some(timestamp(coupon.claimed_at)),
        expires_at: coupon.expires_at.map(timestamp),
        order_id: coupon.order_id.clone().unwrap_or_default(),
    }
}

pub(super) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}

pub(super) fn deal_state(state: deal::State) -> pb::DealState {
    match state {
        deal::State::Scheduled => pb::DealState::Scheduled,
        deal::State::Open => pb::DealState::Open,
        deal::State::SoldOut => pb::DealState::SoldOut,
        deal::State::Closed => pb::DealState::Closed,
        deal::State::Frozen => pb::DealState::Frozen,
    }
}

fn coupon_state(state: coupon::State) -> pb::CouponState {
    match state {
        coupon::State::Issued => pb::CouponState::Issued,
        coupon::State::Redeemed => pb::CouponState::Redeemed,
        coupon::State::Returned => pb::CouponState::Returned,
        coupon::State::Expired => pb::CouponState::Expired,
    }
}

fn prize(prize: &Prize) -> pb::Prize {
    let Prize::Discount(discount) = prize;
    let off = match &discount.off {
        Off::Percent(percent) => pb::discount::Off::Percent(*percent),
        Off::Amount(amount) => pb::discount::Off::Amount(money(amount)),
    };
    let discount = pb::Discount {
        off: Some(off),
        max_amount: discount.max_amount.as_ref().map(money),
        min_order: discount.min_order.as_ref().map(money),
        valid_for: discount.valid_for_seconds.map(|seconds| Duration { seconds, nanos: 0 }),
    };
    pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }
}

fn money(money: &Money) -> types::Money {
    types::Money { currency: money.currency.clone(), minor_units: money.minor_units }
}
