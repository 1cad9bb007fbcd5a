//! Noun -> protobuf.

use prost_types::Timestamp;
use proto::ranking::v1 as pb;
use time::OffsetDateTime;

use crate::board::{Entry, Shown, Standing, Top};

pub(super) fn top(shown: &Shown, top: &Top, limit: usize) -> pb::ListTopResponse {
    let date = match shown {
        Shown::Board(board) => board.first().to_string(),
        Shown::AllTime => String::new(),
    };
    pb::ListTopResponse {
        entries: top.first(limit).iter().map(entry).collect(),
        date,
        as_of: Some(timestamp(top.as_of)),
    }
}

pub(super) fn rank(standing: Standing) -> pb::Rank {
    let entries = |entries: Vec<Entry>| entries.iter().map(entry).collect();
    pb::Rank { entry: Some(entry(&standing.entry)), above: entries(standing.above), below: entries(standing.below) }
}

fn entry(entry: &Entry) -> pb::BoardEntry {
    pb::BoardEntry { rank: entry.rank, item_id: entry.item_id.to_string(), score: entry.score }
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
