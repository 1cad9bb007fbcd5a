//! What an operator sees of deals and coupons.

use prost_types::Timestamp;
use proto::promotion::v1 as pb;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::say::say;

pub(super) fn deal(deal: &pb::Deal) {
    say!("deal       {}", deal.deal_id);
    if !deal.title.is_empty() {
        say!("title      {}", deal.title);
    }
    say!("venue      {}", deal.venue_id);
    say!("state      {}", deal.state().as_str_name().trim_start_matches("DEAL_STATE_"));
    say!("remaining  {} of {}", deal.remaining, deal.stock);
    say!("opens      {}", instant(deal.opens_at));
    say!("closes     {}", instant(deal.closes_at));
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

fn instant(timestamp: Option<Timestamp>) -> String {
    let time = timestamp.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}
