//! The wall clock. It is read here and nowhere else, so that whoever asks "what if this host's clock is wrong" has one
//! place to look at. Durations are measured with [`std::time::Instant`], never with this.

use time::OffsetDateTime;

/// What this host believes the time to be, in UTC.
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The moment `ms` milliseconds after 1970-01-01T00:00:00Z. A number outside the years -9999 to 9999 is cut to them:
/// a damaged record must not be able to end the process that reads it.
#[must_use]
pub fn from_millis(ms: i64) -> OffsetDateTime {
    let first = time::PrimitiveDateTime::MIN.assume_utc();
    let last = time::PrimitiveDateTime::MAX.assume_utc();
    let ms = ms.clamp(to_millis(first), to_millis(last));
    OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(ms)
}

/// Whole milliseconds from 1970-01-01T00:00:00Z to `t`, rounded down, negative before it.
#[must_use]
pub fn to_millis(t: OffsetDateTime) -> i64 {
    t.unix_timestamp() * 1000 + i64::from(t.millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_way_there_and_back() {
        for ms in [0, 1, -1, 999, -1001, 1_767_225_600_123] {
            assert_eq!(to_millis(from_millis(ms)), ms);
        }
    }

    #[test]
    fn a_moment_is_rounded_down_to_its_millisecond() {
        let t = OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(1_999_999);
        assert_eq!(to_millis(t), 1);
    }

    #[test]
    fn a_damaged_number_is_cut_to_the_calendar() {
        assert_eq!(from_millis(i64::MAX).year(), 9999);
        assert_eq!(from_millis(i64::MIN).year(), -9999);
    }
}
