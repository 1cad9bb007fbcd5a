//! Every SQL statement of promotion.

pub mod archive;
pub mod coupon;
pub mod deal;
