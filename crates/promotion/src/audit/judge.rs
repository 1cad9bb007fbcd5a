//! What Redis holds of a deal against what PostgreSQL has. Pure.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::coupon::State;
use crate::deal::Course;
use crate::postgres::coupon::Audited;
use crate::redis::Kept;

/// Sentences of one deal, at most; the rest is counted.
const SENTENCES: usize = 20;
/// A deal in Redis.
pub(super) struct Snapshot {
    pub(super) course: Course,
    pub(super) holders: HashMap<Box<str>, Kept>,
    /// Whether nothing happened while it was read.
    pub(super) still: bool,
}

impl Snapshot {
    /// What is wrong, given every row of the deal, read after all that the snapshot shows had arrived.
    pub(super) fn violations(&self, rows: &[Audited]) -> Vec<String> {
        let mut found = self.counts();
        found.extend(self.seats(rows));
        found.extend(self.ranks(rows));
        found.extend(self.rows(rows));
        found.extend(self.holders(rows));
        bounded(found)
    }

    /// What Redis says of itself.
    fn counts(&self) -> Vec<String> {
        let Course { stock, issued, live, .. } = self.course;
        let mut found = Vec::new();
        if live > stock {
            found.push(format!("{live} coupons are alive and the stock is {stock} (I1)"));
        }
        let holders = i64::try_from(self.holders.len()).unwrap_or(i64::MAX);
        let alive = self.holders.values().filter(|kept| !kept.held.returned).count();
        if self.still && (holders != issued || i64::try_from(alive).unwrap_or(i64::MAX) != live) {
            found.push(format!("Redis counts {issued} issued and {live} alive, and holds {holders} and {alive} (I2)"));
        }
        found
    }

    /// One live coupon a seat, seats from 1 to the stock.
    fn seats(&self, rows: &[Audited]) -> Vec<String> {
        seats(self.course.stock, rows.iter().filter(|row| self.is_known(row.rank)))
    }

    /// Ranks are exactly 1 to n.
    fn ranks(&self, rows: &[Audited]) -> Vec<String> {
        ranks(self.course.issued, rows)
    }

    /// Every row has its holder, and says of him what Redis says.
    fn rows(&self, rows: &[Audited]) -> Vec<String> {
        let mut found = Vec::new();
        for row in rows.iter().filter(|row| self.is_known(row.rank)) {
            let Audited { rank, seat, user_id, .. } = row;
            match self.holders.get(user_id.as_str()) {
                None => found.push(format!("rank {rank} of {user_id} is in PostgreSQL and not in Redis (I4)")),
                Some(Kept { held, .. }) if (held.rank, held.seat) != (*rank, *seat) => found.push(format!(
                    "{user_id} has rank {rank} and seat {seat} in PostgreSQL, and {} and {} in Redis (I3)",
                    held.rank, held.seat
                )),
                _ if row.inferred => {
                    found.push(format!("rank {rank} of {user_id} lost its seat, and its return never arrived (I10)"));
                }
                Some(kept) => found.extend(self.change(row, kept)),
            }
        }
        found
    }

    /// A row is at the last change of its coupon; at a later one only where something has happened since.
    fn change(&self, row: &Audited, kept: &Kept) -> Option<String> {
        let Audited { rank, user_id, version, .. } = row;
        let there = described(&row.state, row.order_id.as_deref());
        let here = described(state(kept).as_str(), kept.order_id.as_deref());
        let is_right = match version.cmp(&kept.version) {
            Ordering::Less => false,
            Ordering::Equal => there == here,
            Ordering::Greater => !self.still,
        };
        (!is_right).then(|| {
            let in_redis = kept.version;
            format!(
                "rank {rank} of {user_id} is {there} in PostgreSQL (change {version}), and {here} in Redis (change \
                 {in_redis}) (I10)"
            )
        })
    }

    /// Every holder has a row. (That of his rank may be missing: then `ranks` has said so.)
    fn holders(&self, rows: &[Audited]) -> Vec<String> {
        let by_rank: HashMap<i64, &str> = rows.iter().map(|row| (row.rank, row.user_id.as_str())).collect();
        let mut found: Vec<String> = self
            .holders
            .iter()
            .filter_map(|(user, kept)| match by_rank.get(&kept.held.rank) {
                Some(other) if *other != &**user && self.is_known(kept.held.rank) => {
                    Some(format!("rank {} is {user}'s in Redis and {other}'s in PostgreSQL (I3)", kept.held.rank))
                }
                Some(_) | None => None,
            })
            .collect();
        found.sort();
        found
    }

    /// Whether the snapshot can know of this rank; later ones were issued after it.
    fn is_known(&self, rank: i64) -> bool {
        rank <= self.course.issued
    }
}

/// What is wrong with a deal that has left Redis, given every row of it.
pub(super) fn archived(course: &Course, rows: &[Audited]) -> Vec<String> {
    let mut found = seats(course.stock, rows.iter());
    found.extend(ranks(course.issued, rows));
    for row in rows {
        let Audited { rank, user_id, .. } = row;
        if *rank > course.issued {
            found.push(format!("rank {rank} of {user_id} is in PostgreSQL, and was never issued (I4)"));
        }
        if row.inferred {
            found.push(format!("rank {rank} of {user_id} lost its seat, and its return never arrived (I10)"));
        }
        if row.state != State::Returned.as_str() && !row.expired {
            found.push(format!("rank {rank} of {user_id} is {} and not over, and its deal is archived", row.state));
        }
    }
    let live = rows.iter().filter(|row| row.state != State::Returned.as_str()).count();
    if i64::try_from(live).unwrap_or(i64::MAX) != course.live {
        found.push(format!("{live} coupons are alive, and {} were when the deal was archived (I10)", course.live));
    }
    bounded(found)
}

/// The first sentences, and how many more there are.
fn bounded(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(SENTENCES);
    found.truncate(SENTENCES);
    found.extend((more > 0).then(|| format!("... and {more} more")));
    found
}

/// One live coupon a seat, seats from 1 to the stock.
fn seats<'a>(stock: i64, rows: impl Iterator<Item = &'a Audited>) -> Vec<String> {
    let mut taken: HashMap<i64, i64> = HashMap::new();
    let mut found = Vec::new();
    for row in rows.filter(|row| row.state != State::Returned.as_str()) {
        if row.seat > stock {
            found.push(format!("rank {} sits on seat {} of {stock} (I1)", row.rank, row.seat));
        }
        if let Some(other) = taken.insert(row.seat, row.rank) {
            found.push(format!("ranks {other} and {} sit on seat {} (I1)", row.rank, row.seat));
        }
    }
    found
}

/// Ranks are exactly 1 to n.
fn ranks(issued: i64, rows: &[Audited]) -> Vec<String> {
    let there: HashSet<i64> = rows.iter().map(|row| row.rank).collect();
    let missing = (1..=issued).filter(|rank| !there.contains(rank));
    missing.map(|rank| format!("rank {rank} is not in PostgreSQL (I2, I3)")).collect()
}

fn state(kept: &Kept) -> State {
    match &kept.order_id {
        _ if kept.held.returned => State::Returned,
        Some(_) => State::Redeemed,
        None => State::Issued,
    }
}

fn described(state: &str, order_id: Option<&str>) -> String {
    order_id.map_or_else(|| state.to_owned(), |order_id| format!("{state} by {order_id}"))
}

#[cfg(test)]
mod tests;
