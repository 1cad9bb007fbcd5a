//! Which day it is, and where: a sale belongs to the day of its venue.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::board::VenueId;

/// Where midnight begins a new day, if nobody says otherwise.
pub const DEFAULT: &str = "Asia/Seoul";

/// The time zone of one venue.
#[derive(Debug, Clone)]
pub struct VenueZone {
    /// Whose it is.
    pub venue_id: VenueId,
    /// Where its midnight is.
    pub zone: TimeZone,
}

/// The time zones of all venues.
#[derive(Debug, Clone)]
pub struct Zones {
    default: TimeZone,
    venues: HashMap<VenueId, TimeZone>,
}

impl Zones {
    /// `default` is that of every venue that has none of its own.
    pub fn new(default: TimeZone, venues: impl IntoIterator<Item = VenueZone>) -> Self {
        let venues = venues.into_iter().map(|venue| (venue.venue_id, venue.zone)).collect();
        Self { default, venues }
    }

    /// The day of an instant where a venue is. Whatever is no name of a venue has no zone of its own.
    #[must_use]
    pub fn day(&self, venue_id: &str, at: Timestamp) -> Date {
        let own = VenueId::parse(venue_id).ok().and_then(|venue_id| self.venues.get(&venue_id));
        day(own.unwrap_or(&self.default), at)
    }
}

/// The day of an instant in a zone.
#[must_use]
pub fn day(zone: &TimeZone, at: Timestamp) -> Date {
    zone.to_datetime(at).date()
}

/// Reads the IANA name of a zone.
///
/// # Errors
/// What is wrong with it, for whoever gave the flag.
pub fn parse(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("{name:?} is not the name of a time zone, as in {DEFAULT}"))
}

/// Reads `VENUE=ZONE`.
///
/// # Errors
/// What is wrong with it, for whoever gave the flag.
pub fn parse_venue(text: &str) -> Result<VenueZone, String> {
    let (venue, name) = text.split_once('=').ok_or_else(|| format!("{text:?} is not VENUE=ZONE"))?;
    let venue_id = VenueId::parse(venue).map_err(|invalid| invalid.to_string())?;
    Ok(VenueZone { venue_id, zone: parse(name)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_of(zones: &Zones, venue: &str, instant: &str) -> String {
        zones.day(venue, instant.parse().unwrap()).to_string()
    }

    #[test]
    fn a_day_begins_at_the_midnight_of_its_venue() {
        let venues = ["paris=Europe/Paris", "apia=Pacific/Apia"].map(|venue| parse_venue(venue).unwrap());
        let zones = Zones::new(parse(DEFAULT).unwrap(), venues);
        // Seoul is nine hours ahead all year.
        assert_eq!(day_of(&zones, "any", "2026-11-26T14:59:59Z"), "2026-11-26");
        assert_eq!(day_of(&zones, "any", "2026-11-26T15:00:00Z"), "2026-11-27");
        assert_eq!(day_of(&zones, "not a venue", "2026-11-26T15:00:00Z"), "2026-11-27");
        // Paris is one hour ahead in winter, and two in summer.
        assert_eq!(day_of(&zones, "paris", "2026-11-26T22:59:59Z"), "2026-11-26");
        assert_eq!(day_of(&zones, "paris", "2026-11-26T23:00:00Z"), "2026-11-27");
        assert_eq!(day_of(&zones, "paris", "2026-07-26T22:00:00Z"), "2026-07-27");
        // Where a whole day never was.
        assert_eq!(day_of(&zones, "apia", "2011-12-30T09:59:59Z"), "2011-12-29");
        assert_eq!(day_of(&zones, "apia", "2011-12-30T10:00:00Z"), "2011-12-31");
    }

    #[test]
    fn what_is_no_zone_is_said_so() {
        assert!(parse("Asia/Atlantis").unwrap_err().contains("Asia/Atlantis"));
        for wrong in ["venue", "=Asia/Seoul", "a b=Asia/Seoul", "venue=", "venue=Asia"] {
            assert!(parse_venue(wrong).is_err(), "{wrong}");
        }
    }
}
