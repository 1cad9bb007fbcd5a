use time::format_description::well_known::Rfc3339;

use super::*;

fn day(text: &str) -> Date {
    parse_day(text).unwrap()
}

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

#[test]
fn a_week_goes_from_monday_to_sunday() {
    let week = Board::of_week(day("2026-11-23"));
    for same in ["2026-11-23", "2026-11-27", "2026-11-29"] {
        assert_eq!(Board::of_week(day(same)), week);
    }
    assert_ne!(Board::of_week(day("2026-11-22")), week);
    assert_ne!(Board::of_week(day("2026-11-30")), week);
    assert_eq!((week.to_string().as_str(), week.more_days()), ("weekly:2026-11-23", 6));
    // Over the end of a year.
    assert_eq!(Board::of_week(day("2027-01-01")).to_string(), "weekly:2026-12-28");
}

#[test]
fn a_board_is_kept_for_some_days_after_its_last() {
    let (daily, weekly) = (Board::of_day(day("2026-11-23")), Board::of_week(day("2026-11-23")));
    assert!(daily.is_kept(at("2026-11-30T23:59:59Z")));
    assert!(!daily.is_kept(at("2026-12-01T00:00:00Z")));
    assert!(weekly.is_kept(at("2027-01-03T23:59:59Z")));
    assert!(!weekly.is_kept(at("2027-01-04T00:00:00Z")));
}

#[test]
fn a_day_has_begun_where_it_begins_first() {
    let board = Board::of_day(day("2026-11-23"));
    assert!(!board.has_begun(at("2026-11-21T23:59:59Z")));
    assert!(board.has_begun(at("2026-11-22T00:00:00Z")));
}

#[test]
fn there_is_one_way_to_write_a_day() {
    for wrong in [
        "",
        "2026-11-2",
        "2026-11-31",
        "20261123",
        "2026-11-23T00:00",
        "2026-11-23 ",
        "1969-12-31",
        "9999-01-01",
        "today",
    ] {
        assert_eq!(parse_day(wrong), None, "{wrong}");
    }
    assert_eq!(parse_day("2024-02-29").unwrap().to_string(), "2024-02-29");
}

#[test]
fn today_depends_on_where() {
    let now = at("2026-11-22T16:00:00Z");
    assert_eq!(today(&crate::zone::parse("Asia/Seoul").unwrap(), now).to_string(), "2026-11-23");
    assert_eq!(today(&TimeZone::UTC, now).to_string(), "2026-11-22");
}
