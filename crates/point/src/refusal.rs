//! Every "no" of this service.

use kit::error::Code;

/// Every "no" of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The account has fewer points.
    InsufficientPoints,
    /// Points were taken for this order before, or it was refunded, or it has had its answer.
    OrderDone,
}

impl Refusal {
    /// What is stored, as a refusal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use kit::error::Refusal as _;
        [Self::InsufficientPoints, Self::OrderDone].into_iter().find(|refusal| refusal.reason() == text)
    }
}

impl kit::error::Refusal for Refusal {
    const DOMAIN: &'static str = "point.booster";

    fn code(&self) -> Code {
        match self {
            Self::InsufficientPoints | Self::OrderDone => Code::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::InsufficientPoints => "INSUFFICIENT_POINTS",
            Self::OrderDone => "ORDER_DONE",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::InsufficientPoints => "the account has fewer points".to_owned(),
            Self::OrderDone => "points were taken for this order before, or it is over".to_owned(),
        }
    }
}
