//! Protobuf -> noun, checked field by field.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use kit::error::Invalid;
use proto::ranking::v1 as pb;

use crate::board::{self, ALL_TIME_MOST, Board, ItemId, LISTED_MOST, Shown};

/// Places that are listed where nobody says how many.
const LISTED: usize = 10;

/// The top that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) shown: Shown,
    pub(super) limit: usize,
}

/// What every request names.
struct Named<'a> {
    board: &'a str,
    period: i32,
    date: &'a str,
    zone: &'a TimeZone,
}

pub(super) fn list_top(asked: &pb::ListTopRequest, zone: &TimeZone) -> Result<Asked, Invalid> {
    let named = Named { board: &asked.board, period: asked.period, date: &asked.date, zone };
    top(named.shown()?, asked.limit)
}

pub(super) fn watch_top(asked: &pb::WatchTopRequest, zone: &TimeZone) -> Result<Asked, Invalid> {
    let named = Named { board: &asked.board, period: asked.period, date: &asked.date, zone };
    top(named.shown()?, asked.limit)
}

pub(super) fn get_rank(asked: &pb::GetRankRequest, zone: &TimeZone) -> Result<(Board, ItemId), Invalid> {
    let named = Named { board: &asked.board, period: asked.period, date: &asked.date, zone };
    Ok((named.dated()?, ItemId::parse(&asked.item_id)?))
}

pub(super) fn rebuild_board(asked: &pb::RebuildBoardRequest, zone: &TimeZone) -> Result<Board, Invalid> {
    Named { board: &asked.board, period: asked.period, date: &asked.date, zone }.dated()
}

fn top(shown: Shown, limit: i32) -> Result<Asked, Invalid> {
    let limit = match (usize::try_from(limit), &shown) {
        (Ok(0), Shown::Board(_)) => LISTED,
        (Ok(0), Shown::AllTime) => ALL_TIME_MOST,
        (Ok(limit), shown) if limit <= shown.most() => limit,
        (Ok(_) | Err(_), Shown::Board(_)) => {
            return Err(Invalid::new("limit", format!("is {limit}; it is 1 to {LISTED_MOST}, or 0 for {LISTED}")));
        }
        (Ok(_) | Err(_), Shown::AllTime) => {
            return Err(Invalid::new("limit", format!("is {limit}; of all time it is 1 to {ALL_TIME_MOST}, or 0")));
        }
    };
    Ok(Asked { shown, limit })
}

impl Named<'_> {
    fn shown(&self) -> Result<Shown, Invalid> {
        self.check_board()?;
        match pb::Period::try_from(self.period) {
            Ok(pb::Period::Daily) => self.kept(Board::of_day(self.day()?)).map(Shown::Board),
            Ok(pb::Period::Weekly) => self.kept(Board::of_week(self.day()?)).map(Shown::Board),
            Ok(pb::Period::AllTime) if self.date.is_empty() => Ok(Shown::AllTime),
            Ok(pb::Period::AllTime) => Err(Invalid::new("date", "is given, and all time has none")),
            Ok(pb::Period::Unspecified) => Err(Invalid::new("period", "is missing")),
            Err(_) => Err(Invalid::new("period", format!("is {}, which is no period", self.period))),
        }
    }

    /// A board of a day or a week, and nothing else.
    fn dated(&self) -> Result<Board, Invalid> {
        match self.shown()? {
            Shown::Board(board) => Ok(board),
            Shown::AllTime => Err(Invalid::new("period", "is ALL_TIME; here it is DAILY or WEEKLY")),
        }
    }

    fn check_board(&self) -> Result<(), Invalid> {
        if self.board.is_empty() || self.board == board::NAME {
            Ok(())
        } else {
            // What a client sends may be too long to be sent back.
            Err(Invalid::new("board", format!("is not {}, which is the only one", board::NAME)))
        }
    }

    fn day(&self) -> Result<Date, Invalid> {
        if self.date.is_empty() {
            return Ok(board::today(self.zone, kit::clock::now()));
        }
        board::parse_day(self.date).ok_or_else(|| Invalid::new("date", "is not a day, as in 2030-01-31"))
    }

    fn kept(&self, board: Board) -> Result<Board, Invalid> {
        if board.is_kept(kit::clock::now()) {
            return Ok(board);
        }
        let why = format!(
            "is {}: the board of a day is kept for {} days, that of a week for {}",
            board.first(),
            board::DAY_KEPT_DAYS - 1,
            board::WEEK_KEPT_DAYS - 1
        );
        Err(Invalid::new("date", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(period: pb::Period, date: &str, limit: i32) -> Result<Asked, Invalid> {
        let request = pb::ListTopRequest { board: String::new(), period: period.into(), date: date.to_owned(), limit };
        list_top(&request, &TimeZone::UTC)
    }

    #[test]
    fn what_is_left_empty_has_a_meaning() {
        let today = board::today(&TimeZone::UTC, kit::clock::now());
        let daily = asked(pb::Period::Daily, "", 0).unwrap();
        assert_eq!(daily, Asked { shown: Shown::Board(Board::of_day(today)), limit: LISTED });
        assert_eq!(asked(pb::Period::Daily, &today.to_string(), 100).unwrap().shown, daily.shown);
        let weekly = asked(pb::Period::Weekly, "", 1).unwrap();
        assert_eq!(weekly, Asked { shown: Shown::Board(Board::of_week(today)), limit: 1 });
        assert_eq!(asked(pb::Period::AllTime, "", 0).unwrap(), Asked { shown: Shown::AllTime, limit: 5 });
    }

    #[test]
    fn each_field_has_its_own_complaint() {
        for (period, date, limit, field) in [
            (pb::Period::Unspecified, "", 0, "period"),
            (pb::Period::Daily, "yesterday", 0, "date"),
            (pb::Period::Daily, "2001-01-01", 0, "date"),
            (pb::Period::Weekly, "2001-01-01", 0, "date"),
            (pb::Period::AllTime, "2026-11-27", 0, "date"),
            (pb::Period::Daily, "", -1, "limit"),
            (pb::Period::Daily, "", 101, "limit"),
            (pb::Period::AllTime, "", 6, "limit"),
        ] {
            assert_eq!(asked(period, date, limit).unwrap_err().field, field, "{period:?} {date} {limit}");
        }
    }
}
