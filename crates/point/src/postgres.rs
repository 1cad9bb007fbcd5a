//! Every SQL statement of point.

pub mod audit;
pub mod balance;
pub mod account;
pub mod entry;
pub mod order;
pub mod request;
