//! Every SQL statement of this service.

pub mod item;
pub mod order;
pub mod request;
pub mod audit;
