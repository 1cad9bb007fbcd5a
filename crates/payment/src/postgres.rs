//! Every SQL statement of payment.

pub mod list;
pub mod audit;
pub mod due;
pub mod payment;
