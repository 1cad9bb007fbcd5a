//! Recording: what was issued becomes rows. A batch is folded to the newest change of each coupon, then whoever lost his
//! seat is retired, then the rest is written.

use std::collections::HashMap;

use kit::postgres::{Failure, Tx};

use crate::coupon::State;
use crate::postgres::coupon::{self, Change};

/// Writes a batch of changes down, in the transaction of the inbox.
///
/// # Errors
/// PostgreSQL is away, or refuses a row: it is the last judge.
pub async fn coupons(tx: &mut Tx, changes: Vec<Change>) -> Result<(), Failure> {
    let changes = one_a_seat(newest(changes));
    coupon::retire(tx, &changes).await?;
    coupon::upsert(tx, &changes).await
}

/// Of several on one seat the highest rank lives: whoever sat there before has returned, and his own event says so later.
fn one_a_seat(mut changes: Vec<Change>) -> Vec<Change> {
    let mut living: HashMap<(String, i64), i64> = HashMap::new();
    for change in changes.iter().filter(|change| change.coupon.state != State::Returned) {
        let highest = living.entry((change.coupon.deal_id.to_string(), change.seat)).or_insert(change.coupon.rank);
        *highest = change.coupon.rank.max(*highest);
    }
    for change in changes.iter_mut().filter(|change| change.coupon.state != State::Returned) {
        let seat = (change.coupon.deal_id.to_string(), change.seat);
        if living.get(&seat).is_some_and(|highest| *highest > change.coupon.rank) {
            change.coupon.state = State::Returned;
            change.inferred = true;
        }
    }
    changes
}

/// The newest change of each coupon, in the order of deal and rank: two transactions then cannot wait for each other.
fn newest(changes: Vec<Change>) -> Vec<Change> {
    let mut newest: HashMap<(String, i64), Change> = HashMap::new();
    for change in changes {
        let key = (change.coupon.deal_id.to_string(), change.coupon.rank);
        match newest.get(&key) {
            Some(known) if known.version >= change.version => {}
            Some(_) | None => {
                newest.insert(key, change);
            }
        }
    }
    let mut sorted: Vec<_> = newest.into_iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    sorted.into_iter().map(|(_, change)| change).collect()
}
