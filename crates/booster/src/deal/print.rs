//! What an operator sees of deals and coupons.

use prost_types::Timestamp;
use proto::promotion::v1 as pb;
use proto::r#type::v1::Money;

use super::instant;
use crate::say::say;

pub(super) fn deal(deal: &pb::Deal) {
    say!("deal       {}", deal.deal_id);
    if !deal.title.is_empty() {
        say!("title      {}", deal.title);
    }
    say!("venue      {}", deal.venue_id);
    say!("state      {}", state(deal.state()));
    say!("remaining  {} of {}", deal.remaining, deal.stock);
    say!("opens      {}", instant(deal.opens_at));
    say!("closes     {}", instant(deal.closes_at));
    if let Some(pb::prize::Kind::Discount(discount)) = deal.prize.as_ref().and_then(|prize| prize.kind.as_ref()) {
        say!("prize      {}", worth(discount));
    }
    if deal.pass_required {
        say!("pass       required");
    }
    say!("round      {} (epoch {})", deal.round, deal.epoch);
}

pub(super) fn claimed(claimed: &pb::ClaimCouponResponse) {
    let Some(coupon) = &claimed.coupon else { return };
    say!("coupon     {}", coupon.coupon_id);
    say!("user       {}", coupon.user_id);
    say!("rank       {}", coupon.rank);
    say!("claimed    {}{}", instant(coupon.claimed_at), if claimed.already_held { " (held already)" } else { "" });
    if coupon.expires_at.is_some() {
        say!("expires    {}", instant(coupon.expires_at));
    }
}

pub(super) fn state(state: pb::DealState) -> &'static str {
    state.as_str_name().trim_start_matches("DEAL_STATE_")
}

pub(super) fn coupon_state(state: pb::CouponState) -> &'static str {
    state.as_str_name().trim_start_matches("COUPON_STATE_")
}

pub(super) fn instant(timestamp: Option<Timestamp>) -> String {
    timestamp.and_then(instant::text).unwrap_or_else(|| "-".to_owned())
}

/// As in "20 % off, at most 5000 KRW, for orders of 10000 KRW and more, valid for 30days". Amounts are in the smallest unit.
fn worth(discount: &pb::Discount) -> String {
    let money = |money: &Money| format!("{} {}", money.minor_units, money.currency);
    let mut words = Vec::new();
    match &discount.off {
        Some(pb::discount::Off::Percent(percent)) => words.push(format!("{percent} % off")),
        Some(pb::discount::Off::Amount(amount)) => words.push(format!("{} off", money(amount))),
        None => {}
    }
    words.extend(discount.max_amount.as_ref().map(|most| format!("at most {}", money(most))));
    words.extend(discount.min_order.as_ref().map(|least| format!("for orders of {} and more", money(least))));
    let valid_for = discount.valid_for.and_then(|time| std::time::Duration::try_from(time).ok());
    words.extend(valid_for.map(|time| format!("valid for {}", humantime::format_duration(time))));
    words.join(", ")
}
