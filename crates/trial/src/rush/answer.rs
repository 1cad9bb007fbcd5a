//! What a user was told by one attempt.

use std::time::Duration;

use proto::promotion::v1::ClaimCouponResponse;
use serde::Serialize;
use tokio::time::error::Elapsed;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// What one attempt was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Yes.
    Ok {
        /// The order number of the yes.
        rank: i64,
        /// The coupon's name.
        coupon_id: String,
        /// Whether it was the user's before this attempt.
        already_held: bool,
    },
    /// No, and nothing happened.
    Refused {
        /// The reason of the `ErrorInfo`.
        reason: String,
    },
    /// Neither yes nor no: the attempt may have won or not.
    Unknown {
        /// The gRPC code.
        code: String,
        /// What the server, or the client library, said of it.
        message: String,
    },
}

/// Nothing is left.
pub(super) const SOLD_OUT: &str = "SOLD_OUT";
/// Refusals that another attempt may find gone, although they come as answers.
const PASSING: [&str; 2] = ["OVERLOADED", "FROZEN"];

impl Outcome {
    /// Whether there is nothing more to ask.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Ok { .. } => true,
            Self::Refused { reason } => !PASSING.contains(&reason.as_str()),
            Self::Unknown { .. } => false,
        }
    }
}

/// An outcome, and whether the claim should be repeated.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// Nothing where the outcome is definite; else how long the server asked to wait, if it did.
    pub(super) repeat: Option<Option<Duration>>,
}

impl Answer {
    pub(super) fn read(reply: Result<Result<Response<ClaimCouponResponse>, Status>, Elapsed>) -> Self {
        match reply {
            Ok(Ok(reply)) => Self::new(accepted(reply.into_inner()), None),
            Ok(Err(status)) => {
                let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
                Self::new(refused(&status), hint)
            }
            Err(_elapsed) => Self::new(unknown(Code::DeadlineExceeded, "the caller did not wait longer"), None),
        }
    }

    fn new(outcome: Outcome, hint: Option<Duration>) -> Self {
        let repeat = if outcome.is_definite() { None } else { Some(hint) };
        Self { outcome, repeat }
    }
}

fn accepted(reply: ClaimCouponResponse) -> Outcome {
    match reply.coupon {
        Some(coupon) => {
            Outcome::Ok { rank: coupon.rank, coupon_id: coupon.coupon_id, already_held: reply.already_held }
        }
        None => unknown(Code::Ok, "an answer without a coupon"),
    }
}

/// A refusal is what carries a reason and says that nothing happened. All else leaves the outcome open: a lost
/// connection, a deadline, `BACKEND_UNAVAILABLE`, a defect of the server.
fn refused(status: &Status) -> Outcome {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let is_answer = match status.code() {
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
    };
    if is_answer { Outcome::Refused { reason } } else { unknown(status.code(), status.message()) }
}

fn unknown(code: Code, message: &str) -> Outcome {
    Outcome::Unknown { code: format!("{code:?}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use tonic_types::ErrorDetails;

    fn status(code: Code, reason: &str, hint: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, "promotion.booster", HashMap::<String, String>::new());
        details.set_retry_info(hint);
        Status::with_error_details(code, "words", details)
    }

    fn answer(code: Code, reason: &str, hint: Option<Duration>) -> Answer {
        Answer::read(Ok(Err(status(code, reason, hint))))
    }

    #[test]
    fn sold_out_is_definite() {
        let answer = answer(Code::ResourceExhausted, SOLD_OUT, None);
        assert_eq!(answer.outcome, Outcome::Refused { reason: SOLD_OUT.to_owned() });
        assert!(answer.repeat.is_none());
    }

    #[test]
    fn an_overloaded_server_is_asked_again_when_it_says() {
        let hint = Some(Duration::from_millis(250));
        let answer = answer(Code::Unavailable, "OVERLOADED", hint);
        assert_eq!(answer.outcome, Outcome::Refused { reason: "OVERLOADED".to_owned() });
        assert_eq!(answer.repeat, Some(hint));
    }

    #[test]
    fn an_outcome_is_open_when_the_server_does_not_know_it_or_did_not_say_it() {
        for status in [
            status(Code::Unavailable, "BACKEND_UNAVAILABLE", None),
            status(Code::Internal, "INTERNAL", None),
            Status::unavailable("connection refused"),
            Status::resource_exhausted("no reason given"),
        ] {
            let code = format!("{:?}", status.code());
            let answer = Answer::read(Ok(Err(status)));
            assert!(matches!(&answer.outcome, Outcome::Unknown { code: told, .. } if *told == code));
            assert_eq!(answer.repeat, Some(None));
        }
        assert_eq!(Answer::read(Ok(Ok(Response::new(ClaimCouponResponse::default())))).repeat, Some(None));
    }
}
