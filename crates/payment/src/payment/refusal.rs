//! Every "no" of this service.

use kit::error::Code;

/// Every "no" of this service. Orders are answered by events: see [`Reply`](super::Reply).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such payment.
    PaymentNotFound,
}

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "payment.booster";

    fn code(&self) -> Code {
        match self {
            Self::PaymentNotFound => Code::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::PaymentNotFound => "PAYMENT_NOT_FOUND",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::PaymentNotFound => "there is no such payment".to_owned(),
        }
    }
}
