//! Every SQL statement of promotion.

pub mod archive;
pub mod list;
pub mod order;
pub mod coupon;
pub mod deal;
