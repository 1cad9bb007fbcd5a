//! What was told by one attempt.

use std::collections::BTreeMap;

use proto::order::v1::Order;
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What one attempt at an order was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The order, as it stands.
    Ok { order_id: String, state: String },
    /// No, and nothing happened.
    Refused {
        /// The reason of the `ErrorInfo`, and its metadata.
        reason: String,
        metadata: BTreeMap<String, String>,
    },
    /// Neither yes nor no: it may have happened or not.
    Unknown {
        /// The gRPC code, and what the server, or the client library, said of it.
        code: String,
        message: String,
    },
}

/// Refusals that another attempt may find gone, although they come as answers.
const PASSING: [&str; 2] = ["OVERLOADED", "FROZEN"];

impl Outcome {
    /// Whether there is nothing more to ask.
    pub(super) fn is_definite(&self) -> bool {
        match self {
            Self::Ok { .. } => true,
            Self::Refused { reason, .. } => !PASSING.contains(&reason.as_str()),
            Self::Unknown { .. } => false,
        }
    }

    pub(super) fn read(reply: &Result<Order, Status>) -> Self {
        match reply {
            Ok(order) => Self::Ok { order_id: order.order_id.clone(), state: state(order).to_owned() },
            Err(status) if is_refusal(status) => {
                let metadata = status.get_details_error_info().map(|info| info.metadata.into_iter().collect());
                Self::Refused { reason: reason(status), metadata: metadata.unwrap_or_default() }
            }
            Err(status) => Self::Unknown { code: format!("{:?}", status.code()), message: status.message().to_owned() },
        }
    }
}

/// The state of an order as this house writes it: `PAID`.
pub(super) fn state(order: &Order) -> &'static str {
    order.state().as_str_name().trim_start_matches("ORDER_STATE_")
}

/// The reason of a refusal; empty where it has none.
pub(super) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Whether it says that nothing happened, and another attempt would be told the same.
pub(super) fn is_definite(status: &Status) -> bool {
    is_refusal(status) && !PASSING.contains(&reason(status).as_str())
}

/// A refusal is what carries a reason and says that nothing happened. All else leaves the outcome open: a lost connection, a deadline,
/// `BACKEND_UNAVAILABLE`, a defect of the server.
fn is_refusal(status: &Status) -> bool {
    let reason = reason(status);
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted => !reason.is_empty(),
        Code::Unavailable => PASSING.contains(&reason.as_str()),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::order::v1::OrderState;
    use tonic_types::ErrorDetails;

    fn told(code: Code, reason: &str) -> Outcome {
        let metadata = [("item_id".to_owned(), "i1".to_owned())];
        let details = ErrorDetails::with_error_info(reason, "order.booster", metadata);
        Outcome::read(&Err(Status::with_error_details(code, "words", details)))
    }

    #[test]
    fn an_order_is_told_with_its_state() {
        let order = Order { order_id: "o1".to_owned(), state: OrderState::Pending.into(), ..Order::default() };
        assert_eq!(Outcome::read(&Ok(order)), Outcome::Ok { order_id: "o1".to_owned(), state: "PENDING".to_owned() });
    }

    #[test]
    fn a_refusal_is_definite_unless_it_passes() {
        let refused = told(Code::ResourceExhausted, "OUT_OF_STOCK");
        let metadata = BTreeMap::from([("item_id".to_owned(), "i1".to_owned())]);
        assert_eq!(refused, Outcome::Refused { reason: "OUT_OF_STOCK".to_owned(), metadata });
        assert!(refused.is_definite() && !told(Code::Unavailable, "OVERLOADED").is_definite());
    }

    #[test]
    fn an_outcome_is_open_when_the_server_does_not_know_it_or_did_not_say_it() {
        let lost = Outcome::read(&Err(Status::unavailable("connection refused")));
        for outcome in [told(Code::Unavailable, "BACKEND_UNAVAILABLE"), told(Code::Internal, "INTERNAL"), lost] {
            assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
            assert!(!outcome.is_definite());
        }
    }
}
