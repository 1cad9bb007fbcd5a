//! Recording: what was issued becomes rows. A batch is folded to the newest change of each coupon, then whoever lost his
//! seat is retired, then the rest is written.

use std::collections::HashMap;

use kit::postgres::{Failure, Tx};

use crate::coupon::State;
use crate::deal::DealId;
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
    let mut living: HashMap<(DealId, i64), i64> = HashMap::new();
    for change in changes.iter().filter(|change| change.coupon.state != State::Returned) {
        let highest = living.entry((change.coupon.deal_id.clone(), change.seat)).or_insert(change.coupon.rank);
        *highest = change.coupon.rank.max(*highest);
    }
    for change in changes.iter_mut().filter(|change| change.coupon.state != State::Returned) {
        let seat = (change.coupon.deal_id.clone(), change.seat);
        if living.get(&seat).is_some_and(|highest| *highest > change.coupon.rank) {
            change.coupon.state = State::Returned;
            change.inferred = true;
        }
    }
    changes
}

/// The newest change of each coupon, in the order of deal and rank: two transactions then cannot wait for each other.
fn newest(mut changes: Vec<Change>) -> Vec<Change> {
    fn coupon(change: &Change) -> (&DealId, i64) {
        (&change.coupon.deal_id, change.coupon.rank)
    }
    changes.sort_by(|one, other| coupon(one).cmp(&coupon(other)).then(other.version.cmp(&one.version)));
    changes.dedup_by(|later, first| coupon(later) == coupon(first));
    changes
}

#[cfg(test)]
mod tests {
    use crate::coupon::{Coupon, Grant};
    use crate::deal::{Discount, Off, Prize, Terms, UserId};

    use super::*;

    fn change(deal_id: &str, rank: i64, seat: i64, version: i64) -> Change {
        let discount = Discount { off: Off::Percent(10), max_amount: None, min_order: None, valid_for_seconds: None };
        let terms = Terms { venue_id: "venue".to_owned(), prize: Prize::Discount(discount) };
        let (deal_id, user_id) = (DealId::parse(deal_id).unwrap(), UserId::parse(&format!("u{rank}")).unwrap());
        let coupon = Coupon::issued(deal_id, user_id, &terms, Grant { rank, claimed_ms: 0 });
        Change { coupon, seat, version, inferred: false }
    }

    fn told(changes: &[Change]) -> Vec<(&str, i64, i64)> {
        changes.iter().map(|change| (change.coupon.deal_id.as_str(), change.coupon.rank, change.version)).collect()
    }

    #[test]
    fn a_batch_is_folded_to_the_newest_change_of_each_coupon_in_order() {
        let batch = [change("b", 1, 1, 1), change("a", 2, 2, 2), change("a", 1, 1, 1), change("a", 2, 2, 1)];
        assert_eq!(told(&newest(batch.to_vec())), [("a", 1, 1), ("a", 2, 2), ("b", 1, 1)]);
    }

    #[test]
    fn of_several_on_a_seat_the_highest_rank_lives() {
        let batch = [change("a", 1, 1, 1), change("a", 7, 1, 1), change("a", 8, 2, 1), change("b", 9, 1, 1)];
        let inferred: Vec<bool> = one_a_seat(batch.to_vec()).iter().map(|change| change.inferred).collect();
        assert_eq!(inferred, [true, false, false, false]);
    }
}
