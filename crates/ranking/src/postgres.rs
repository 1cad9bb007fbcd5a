//! Every SQL statement of ranking.

pub mod sums;
pub mod all_time;
pub mod day;
pub mod sale;

use jiff::civil::Date;

/// A day, as PostgreSQL's library names it. Every day that can be counted with has both names.
fn named(day: Date) -> time::Date {
    let month = time::Month::try_from(u8::try_from(day.month()).unwrap_or_default());
    let named = month.ok().and_then(|month| {
        time::Date::from_calendar_date(day.year().into(), month, u8::try_from(day.day()).unwrap_or_default()).ok()
    });
    named.unwrap_or(time::Date::MIN)
}

/// The other way round.
fn read_day(named: time::Date) -> Date {
    let day = i16::try_from(named.year()).ok().and_then(|year| {
        Date::new(year, i8::try_from(u8::from(named.month())).ok()?, i8::try_from(named.day()).ok()?).ok()
    });
    day.unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_two_names() {
        for text in ["1970-01-01", "2024-02-29", "2026-12-31", "9998-12-31"] {
            let it: Date = text.parse().unwrap();
            assert_eq!(read_day(named(it)), it);
            assert_eq!(named(it).to_string(), text);
        }
    }
}
