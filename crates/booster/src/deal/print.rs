//! What an operator sees of deals and coupons.
#![expect(clippy::print_stdout, reason = "an operator reads it")]

use prost_types::Timestamp;
use proto::promotion::v1 as pb;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn deal(deal: &pb::Deal) {
    println!("deal       {}", deal.deal_id);
    if !deal.title.is_empty() {
        println!("title      {}", deal.title);
    }
    println!("venue      {}", deal.venue_id);
    println!("state      {}", deal.state().as_str_name().trim_start_matches("DEAL_STATE_"));
    println!("remaining  {} of {}", deal.remaining, deal.stock);
    println!("opens      {}", instant(deal.opens_at));
    println!("closes     {}", instant(deal.closes_at));
    println!("round      {} (epoch {})", deal.round, deal.epoch);
}

pub(super) fn claimed(claimed: &pb::ClaimCouponResponse) {
    let Some(coupon) = &claimed.coupon else { return };
    println!("coupon     {}", coupon.coupon_id);
    println!("user       {}", coupon.user_id);
    println!("rank       {}", coupon.rank);
    println!("claimed    {}{}", instant(coupon.claimed_at), if claimed.already_held { " (held already)" } else { "" });
    if coupon.expires_at.is_some() {
        println!("expires    {}", instant(coupon.expires_at));
    }
}

fn instant(timestamp: Option<Timestamp>) -> String {
    let time = timestamp.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}
