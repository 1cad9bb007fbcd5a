//! Days that the boards of a test stand for: recent ones, or they would not be kept.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The last Monday, or today.
pub fn monday() -> Date {
    let today = ranking::board::today(&TimeZone::UTC, kit::clock::now());
    let after_monday = i32::from(today.weekday().to_monday_zero_offset());
    today.saturating_sub(after_monday.days())
}

/// The day before it, which belongs to another week.
pub fn sunday() -> Date {
    monday().yesterday().unwrap()
}

/// A time of a day where a zone is, as in `Asia/Seoul`.
pub fn at(day: Date, hour: i8, minute: i8, second: i8, zone: &str) -> Timestamp {
    day.at(hour, minute, second, 999_999_999).in_tz(zone).unwrap().timestamp()
}

/// Noon of a day in Seoul.
pub fn noon(day: Date) -> Timestamp {
    at(day, 12, 0, 0, "Asia/Seoul")
}
