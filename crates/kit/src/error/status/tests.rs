use super::*;
use anyhow::Context;

#[derive(Debug)]
enum No {
    SoldOut,
    NotOpen,
}

impl Refusal for No {
    const DOMAIN: &'static str = "test.booster";

    fn code(&self) -> Code {
        match self {
            Self::SoldOut => Code::ResourceExhausted,
            Self::NotOpen => Code::FailedPrecondition,
        }
    }
    fn reason(&self) -> &'static str {
        match self {
            Self::SoldOut => "SOLD_OUT",
            Self::NotOpen => "NOT_OPEN",
        }
    }
    fn message(&self) -> String {
        format!("the deal is {self:?}")
    }
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::SoldOut => None,
            Self::NotOpen => Some(Duration::from_secs(90)),
        }
    }
    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::SoldOut => vec![("deal_id", "d1".into())],
            Self::NotOpen => Vec::new(),
        }
    }
}

fn broken() -> anyhow::Error {
    anyhow::anyhow!("connection to 10.0.0.7 refused").context("reading the deal")
}

#[test]
fn a_refusal_is_its_own_code_word_and_facts() {
    let status = Error::from(No::SoldOut).into_status();
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "the deal is SoldOut"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("SOLD_OUT", "test.booster"));
    assert_eq!(info.metadata["deal_id"], "d1");
    assert!(details.retry_info().is_none());
}

#[test]
fn a_refusal_says_when_to_come_back_where_it_knows() {
    let details = Status::from(Error::from(No::NotOpen)).get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(90)));
}

#[test]
fn an_invalid_field_is_named() {
    let status = Error::<No>::from(Invalid::new("deal.stock", "is negative")).into_status();
    let details = status.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "deal.stock is negative"));
    assert_eq!((violation.field.as_str(), violation.description.as_str()), ("deal.stock", "is negative"));
    assert_eq!(details.error_info().unwrap().reason, INVALID_FIELD);
}

#[test]
fn a_reused_request_id_is_the_callers_mistake() {
    let status = Error::<No>::RequestIdReused.into_status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, REQUEST_ID_REUSED);
}

#[test]
fn overload_says_when_to_come_back() {
    let status = Error::<No>::Overloaded { retry_after: Duration::from_millis(250) }.into_status();
    let details = status.get_error_details();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(details.error_info().unwrap().reason, OVERLOADED);
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(250)));
}

#[test]
fn an_unknown_outcome_says_so_and_nothing_of_the_inside() {
    let status = Error::<No>::unavailable(broken()).into_status();
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::Unavailable, BACKEND_UNAVAILABLE));
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(BACKEND_RETRY));
    assert!(status.message().contains("the outcome is unknown, repeat the request or ask"), "{}", status.message());
    assert!(status.message().contains(&info.metadata["trace_id"]));
    assert!(!format!("{status:?}").contains("10.0.0.7"));
}

#[test]
fn a_defect_says_nothing_of_the_inside() {
    let status = Error::<No>::internal(broken()).into_status();
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::Internal, INTERNAL));
    assert_eq!(info.metadata["trace_id"].len(), 32);
    assert!(details.retry_info().is_none());
    assert!(!format!("{status:?}").contains("10.0.0.7") && !status.message().contains("reading"));
}

#[test]
fn display_never_prints_the_source_and_the_chain_does() {
    let error = Error::<No>::unavailable(broken());
    assert_eq!(error.to_string(), "a backend is unavailable; the outcome is unknown");
    let chain = format!("{:#}", anyhow::Error::from(error).context("claiming"));
    assert!(chain.ends_with("reading the deal: connection to 10.0.0.7 refused"), "{chain}");
    let fault = Fault::from(Err::<(), _>(broken()).context("outermost").unwrap_err());
    assert_eq!((fault.to_string(), fault.chain().contains("10.0.0.7")), ("outermost".into(), true));
}
