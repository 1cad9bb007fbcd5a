//! A board: what was sold in a span of days, the most first; of two that were sold as often the one with the smaller id first.

mod refusal;

pub use refusal::{Refusal, told};

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use time::OffsetDateTime;

kit::id!(
    /// Names an item.
    ItemId, "item_id", 64
);
kit::id!(
    /// Names a venue.
    VenueId, "venue_id", 64
);
kit::id!(
    /// Names an order.
    OrderId, "order_id", 64
);

/// The one kind of board that there is: items, by how many of each were sold.
pub const NAME: &str = "items";
/// Places that are listed, at most.
pub const LISTED_MOST: usize = 100;
/// Places of all time that are listed, at most.
pub const ALL_TIME_MOST: usize = 5;
/// How many that stand before an item, and how many behind it, are told with its rank.
pub const NEIGHBOURS: usize = 2;
/// How many days after its last one the board of a day is kept. One of them is needed because days end at different instants.
pub const DAY_KEPT_DAYS: i32 = 8;
/// The same for the board of a week.
pub const WEEK_KEPT_DAYS: i32 = 36;
/// Years whose days can be counted with.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=9998;
/// The day before which nothing was sold.
pub const EPOCH: Date = Date::constant(1970, 1, 1);

/// Which span of days a board counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// One day.
    Day,
    /// From Monday to Sunday.
    Week,
}

/// A board of a day or a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Board {
    period: Period,
    first: Date,
}

/// What can be listed and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    /// A board of a day or a week.
    Board(Board),
    /// What was sold most since there are sales.
    AllTime,
}

/// One item on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1 is the best.
    pub rank: i64,
    /// Which item.
    pub item_id: ItemId,
    /// How many of it were sold.
    pub score: i64,
}

/// The top of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// In the order of rank.
    pub entries: Vec<Entry>,
    /// As of when.
    pub as_of: OffsetDateTime,
}

/// Where one item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The item itself.
    pub entry: Entry,
    /// Who stands before it, the better first.
    pub above: Vec<Entry>,
    /// Who stands behind it.
    pub below: Vec<Entry>,
}

/// How many of an item were sold in the span of a board, and which of two such numbers is the newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// Which item.
    pub item_id: ItemId,
    /// How many, all of them: not how many more.
    pub score: i64,
    /// Counts the changes of `score`.
    pub version: i64,
}

impl Board {
    /// The board of a day.
    #[must_use]
    pub fn of_day(day: Date) -> Self {
        Self { period: Period::Day, first: day }
    }

    /// The board of the week that a day belongs to.
    #[must_use]
    pub fn of_week(day: Date) -> Self {
        let after_monday = i32::from(day.weekday().to_monday_zero_offset());
        Self { period: Period::Week, first: day.saturating_sub(after_monday.days()) }
    }

    /// Which span it counts.
    #[must_use]
    pub fn period(&self) -> Period {
        self.period
    }

    /// The first day that it counts.
    #[must_use]
    pub fn first(&self) -> Date {
        self.first
    }

    /// How many days come after the first.
    #[must_use]
    pub fn more_days(&self) -> i32 {
        match self.period {
            Period::Day => 0,
            Period::Week => 6,
        }
    }

    /// From when on it is not kept in Redis any more, in milliseconds since 1970.
    #[must_use]
    pub fn expires_ms(&self) -> i64 {
        let kept = match self.period {
            Period::Day => DAY_KEPT_DAYS,
            Period::Week => WEEK_KEPT_DAYS,
        };
        let days = i64::from(self.more_days()) + i64::from(kept);
        i64::try_from(self.first.duration_since(EPOCH).as_millis()).unwrap_or(i64::MAX) + days * 86_400_000
    }

    /// Whether it is still kept.
    #[must_use]
    pub fn is_kept(&self, now: OffsetDateTime) -> bool {
        kit::clock::to_millis(now) < self.expires_ms()
    }

    /// Whether its first day has begun anywhere on earth.
    #[must_use]
    pub fn has_begun(&self, now: OffsetDateTime) -> bool {
        today(&TimeZone::UTC, now).saturating_add(1.day()) >= self.first
    }
}

/// In the words of its keys.
impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Day => "daily",
            Period::Week => "weekly",
        };
        write!(f, "{period}:{}", self.first)
    }
}

impl Shown {
    /// Places that are listed of it, at most.
    #[must_use]
    pub fn most(&self) -> usize {
        match self {
            Self::Board(_) => LISTED_MOST,
            Self::AllTime => ALL_TIME_MOST,
        }
    }
}

impl Top {
    /// Its first places.
    #[must_use]
    pub fn first(&self, places: usize) -> &[Entry] {
        &self.entries[..places.min(self.entries.len())]
    }
}

/// Ranks what comes in its order, from `first` on.
pub fn ranked(first: i64, scores: impl IntoIterator<Item = (ItemId, i64)>) -> Vec<Entry> {
    (first..).zip(scores).map(|(rank, (item_id, score))| Entry { rank, item_id, score }).collect()
}

/// Reads a day, as in 2030-01-31. Nothing where it is none that could be counted with.
#[must_use]
pub fn parse_day(text: &str) -> Option<Date> {
    let day: Date = text.parse().ok()?;
    // Other ways to write a day mean the same one, and one is enough.
    (day.to_string() == text && YEARS.contains(&day.year())).then_some(day)
}

/// Whether a day can be counted with.
#[must_use]
pub fn is_countable(day: Date) -> bool {
    YEARS.contains(&day.year())
}

/// The day that it is in a zone.
#[must_use]
pub fn today(zone: &TimeZone, now: OffsetDateTime) -> Date {
    // Both know the same instants but for some at the end of the calendar.
    let now = jiff::Timestamp::from_second(now.unix_timestamp()).unwrap_or_default();
    crate::zone::day(zone, now)
}

#[cfg(test)]
mod tests;
