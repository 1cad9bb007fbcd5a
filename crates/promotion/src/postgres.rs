//! Every SQL statement of promotion.

pub mod coupon;
pub mod deal;
