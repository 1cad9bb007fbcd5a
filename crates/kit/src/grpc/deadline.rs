//! Until when an answer is worth anything.

use crate::error::{Error, Fault};
use futures::FutureExt;
use http::HeaderMap;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The header by which a client says how long it will wait.
const HEADER: &str = "grpc-timeout";

/// How much earlier than the client gives up we answer, so that the answer is seen: a twentieth of its time, within
/// these bounds, and never more than half.
const EARLIER: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// The moment after which nobody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The deadline of a request: what its client allows, a little less so that the answer still arrives, and `default` at
/// most.
#[must_use]
pub fn deadline(metadata: &MetadataMap, default: Duration) -> Deadline {
    Deadline::of(metadata.as_ref(), default)
}

/// Waits for `work` until `deadline`.
///
/// # Errors
///
/// Those of `work`, or [`Error::Unavailable`] when the time is up: what was begun may yet happen.
pub fn within<T, R>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error<R>>>,
) -> impl Future<Output = Result<T, Error<R>>> {
    // Not an `async fn`: it would hold the work twice, and a claim is moved and allocated as large as it is.
    tokio::time::timeout_at(deadline.0, work).map(|done| match done {
        Ok(done) => done,
        Err(_) => Err(Error::Unavailable(Fault::new("the deadline passed before there was an answer"))),
    })
}

impl Deadline {
    /// In `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The time left, zero once it is over: what a call to another service is given.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it is over: work that waited until then need not be taken up.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The moment itself.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.0
    }

    pub(super) fn of(headers: &HeaderMap, default: Duration) -> Self {
        Self::after(allowed(headers, default))
    }
}

fn allowed(headers: &HeaderMap, default: Duration) -> Duration {
    match headers.get(HEADER).and_then(|value| parse(value.as_bytes())) {
        Some(said) => (said - earlier(said)).min(default),
        None => default,
    }
}

fn earlier(said: Duration) -> Duration {
    (said / 20).clamp(EARLIER.0, EARLIER.1).min(said / 2)
}

/// Up to eight digits and a unit, as gRPC over HTTP/2 has it; anything else counts as not said.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const DEFAULT: Duration = Duration::from_secs(2);

    /// Milliseconds that a request with this header is allowed.
    fn allowed_ms(header: Option<&'static str>) -> u128 {
        let mut metadata = MetadataMap::new();
        if let Some(header) = header {
            metadata.insert(HEADER, header.parse().unwrap());
        }
        allowed(metadata.as_ref(), DEFAULT).as_millis()
    }

    #[test]
    fn is_the_clients_less_a_little_and_the_default_at_most() {
        assert_eq!(allowed_ms(None), 2000);
        assert_eq!(allowed_ms(Some("1S")), 950);
        assert_eq!(allowed_ms(Some("200m")), 190);
        assert_eq!(allowed_ms(Some("20000u")), 15);
        assert_eq!(allowed_ms(Some("4m")), 2);
        assert_eq!(allowed_ms(Some("0n")), 0);
        assert_eq!(allowed_ms(Some("99999999H")), 2000);
    }

    #[test]
    fn what_is_not_a_time_counts_as_not_said() {
        for header in ["", "S", "1", "-1S", "1.5S", "123456789S", "1s", "9X"] {
            assert_eq!(allowed_ms(Some(header)), 2000, "{header}");
        }
    }

    #[tokio::test]
    async fn when_the_time_is_up_the_outcome_is_unknown() {
        let deadline = Deadline::after(Duration::from_millis(10));
        let late = within::<(), Infallible>(deadline, std::future::pending()).await;
        assert!(matches!(late, Err(Error::Unavailable(_))));
        assert!(deadline.expired());
        let early = within::<_, Infallible>(Deadline::after(DEFAULT), async { Ok(7) }).await;
        assert!(matches!(early, Ok(7)));
    }
}
