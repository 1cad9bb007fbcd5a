//! Instants, as an operator writes and reads them: RFC 3339.

use prost_types::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a flag says.
pub(crate) fn parse(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "it is not like 2030-01-31T10:00:00+09:00")
}

/// What the contract says of it.
pub(crate) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}

/// In UTC, to the second: for people.
pub(crate) fn text(timestamp: Timestamp) -> Option<String> {
    exact(Timestamp { nanos: 0, ..timestamp })
}

/// In UTC, as precisely as it is known: for programs.
pub(crate) fn exact(timestamp: Timestamp) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    time.replace_nanosecond(timestamp.nanos.try_into().ok()?).ok()?.format(&Rfc3339).ok()
}
