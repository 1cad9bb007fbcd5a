//! Every SQL statement of promotion.

pub mod archive;
pub mod list;
pub mod order;
pub mod errand;
pub mod coupon;
pub mod deal;
