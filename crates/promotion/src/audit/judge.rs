//! What Redis holds of a deal against what PostgreSQL has. Pure.

use std::collections::HashMap;

use crate::deal::Course;
use crate::postgres::coupon::Audited;
use crate::redis::Held;

/// Sentences of one deal, at most; the rest is counted.
const SENTENCES: usize = 20;
/// The version of a coupon that was given back, at least.
const RETURNED: i64 = 2;

/// A deal in Redis.
pub(super) struct Snapshot {
    pub(super) course: Course,
    pub(super) holders: HashMap<Box<str>, Held>,
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
        if found.len() > SENTENCES {
            let more = found.len() - SENTENCES;
            found.truncate(SENTENCES);
            found.push(format!("... and {more} more"));
        }
        found
    }

    /// What Redis says of itself.
    fn counts(&self) -> Vec<String> {
        let Course { stock, issued, live, .. } = self.course;
        let mut found = Vec::new();
        if live > stock {
            found.push(format!("{live} coupons are alive and the stock is {stock} (I1)"));
        }
        let holders = i64::try_from(self.holders.len()).unwrap_or(i64::MAX);
        let alive = self.holders.values().filter(|held| !held.returned).count();
        if self.still && (holders != issued || i64::try_from(alive).unwrap_or(i64::MAX) != live) {
            found.push(format!("Redis counts {issued} issued and {live} alive, and holds {holders} and {alive} (I2)"));
        }
        found
    }

    /// One live coupon a seat, seats from 1 to the stock.
    fn seats(&self, rows: &[Audited]) -> Vec<String> {
        let mut taken: HashMap<i64, i64> = HashMap::new();
        let mut found = Vec::new();
        for row in rows.iter().filter(|row| !row.returned && self.is_known(row.rank)) {
            if row.seat > self.course.stock {
                found.push(format!("rank {} sits on seat {} of {} (I1)", row.rank, row.seat, self.course.stock));
            }
            if let Some(other) = taken.insert(row.seat, row.rank) {
                found.push(format!("ranks {other} and {} sit on seat {} (I1)", row.rank, row.seat));
            }
        }
        found
    }

    /// Ranks are exactly 1 to n.
    fn ranks(&self, rows: &[Audited]) -> Vec<String> {
        let there: std::collections::HashSet<i64> = rows.iter().map(|row| row.rank).collect();
        let missing = (1..=self.course.issued).filter(|rank| !there.contains(rank));
        missing.map(|rank| format!("rank {rank} is not in PostgreSQL (I2, I3)")).collect()
    }

    /// Every row has its holder, and says of him what Redis says.
    fn rows(&self, rows: &[Audited]) -> Vec<String> {
        let mut found = Vec::new();
        for row in rows.iter().filter(|row| self.is_known(row.rank)) {
            let Audited { rank, seat, user_id, .. } = row;
            match self.holders.get(user_id.as_str()) {
                None => found.push(format!("rank {rank} of {user_id} is in PostgreSQL and not in Redis (I4)")),
                Some(held) if (held.rank, held.seat) != (*rank, *seat) => found.push(format!(
                    "{user_id} has rank {rank} and seat {seat} in PostgreSQL, and {} and {} in Redis (I3)",
                    held.rank, held.seat
                )),
                Some(held)
                    if !held.returned && row.returned && !row.inferred && row.version >= RETURNED && self.still =>
                {
                    found
                        .push(format!("rank {rank} of {user_id} is given back in PostgreSQL, and held in Redis (I10)"));
                }
                Some(held) if held.returned && !row.returned => {
                    found.push(format!("rank {rank} of {user_id} was given back, and is alive in PostgreSQL (I10)"));
                }
                Some(_) => {}
            }
            if row.inferred {
                found.push(format!("rank {rank} of {user_id} lost its seat, and its return never arrived (I10)"));
            } else if row.returned && row.version < RETURNED {
                found.push(format!(
                    "rank {rank} of {user_id} is given back in PostgreSQL, and nobody gave it back (I10)"
                ));
            }
        }
        found
    }

    /// Every holder has a row. (That of his rank may be missing: then `ranks` has said so.)
    fn holders(&self, rows: &[Audited]) -> Vec<String> {
        let by_rank: HashMap<i64, &str> = rows.iter().map(|row| (row.rank, row.user_id.as_str())).collect();
        let mut found: Vec<String> = self
            .holders
            .iter()
            .filter_map(|(user, held)| match by_rank.get(&held.rank) {
                Some(other) if *other != &**user && self.is_known(held.rank) => {
                    Some(format!("rank {} is {user}'s in Redis and {other}'s in PostgreSQL (I3)", held.rank))
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

#[cfg(test)]
mod tests;
