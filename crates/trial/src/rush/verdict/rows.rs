//! What the rows say by themselves.

use std::collections::BTreeMap;

use super::{Row, Violation};

/// I2, and that no share of the stock was given twice.
pub(super) fn check(kept: &[Row], stock: u32) -> Vec<Violation> {
    let mut ranks: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut seats: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut found = Vec::new();
    for row in kept {
        ranks.entry(row.rank).or_default().push(row.user.clone());
        users.entry(&row.user).or_default().push(row.rank);
        if let Some(seat) = row.seat {
            seats.entry(seat).or_default().push(row.rank);
        }
        if row.state != "ISSUED" {
            found.push(Violation::Spent { rank: row.rank, state: row.state.clone() });
        }
    }
    found.extend(gaps(&ranks));
    found.extend(
        ranks
            .into_iter()
            .filter(|(_, users)| users.len() > 1)
            .map(|(rank, users)| Violation::RankTwice { rank, users }),
    );
    found.extend(several(users).map(|(user, ranks)| Violation::UserTwice { user: user.to_owned(), ranks }));
    let beyond = seats.iter().filter(|(seat, _)| !(1..=i64::from(stock)).contains(*seat));
    found.extend(beyond.map(|(&seat, ranks)| Violation::SeatBeyond { seat, rank: ranks[0] }));
    found.extend(several(seats).map(|(seat, ranks)| Violation::SeatTwice { seat, ranks }));
    found
}

/// A coupon's name is made of its deal and its rank.
pub(super) fn names<'a>(listed: &'a [Row], deal_id: &'a str) -> impl Iterator<Item = Violation> + 'a {
    listed.iter().filter_map(move |row| misnamed(row.coupon_id.as_deref()?, deal_id, row.rank))
}

/// The violation, where `coupon_id` is not the name of this rank of this deal.
pub(super) fn misnamed(coupon_id: &str, deal_id: &str, rank: i64) -> Option<Violation> {
    let right = format!("{deal_id}-{rank}");
    (coupon_id != right).then(|| Violation::Misnamed { coupon_id: coupon_id.to_owned(), rank })
}

/// What is in the one and not in the other; a row that is shown twice is once too often.
pub(super) fn apart(listed: &[Row], stored: &[Row]) -> Vec<Violation> {
    let mut surplus: BTreeMap<(i64, &str, &str), i64> = BTreeMap::new();
    for row in stored {
        *surplus.entry((row.rank, &row.user, &row.state)).or_default() += 1;
    }
    for row in listed {
        *surplus.entry((row.rank, &row.user, &row.state)).or_default() -= 1;
    }
    let of = |((rank, user, _), surplus): ((i64, &str, &str), i64)| match surplus {
        0 => None,
        1.. => Some(Violation::Hidden { rank, user: user.to_owned() }),
        _ => Some(Violation::Invented { rank, user: user.to_owned() }),
    };
    surplus.into_iter().filter_map(of).collect()
}

fn gaps(ranks: &BTreeMap<i64, Vec<String>>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut next = 1;
    for (&rank, users) in ranks {
        if rank < 1 {
            found.push(Violation::Below { rank, user: users[0].clone() });
            continue;
        }
        if rank > next {
            found.push(Violation::Gap { ranks: next..=rank - 1 });
        }
        next = rank + 1;
    }
    found
}

fn several<K>(map: BTreeMap<K, Vec<i64>>) -> impl Iterator<Item = (K, Vec<i64>)> {
    map.into_iter().filter(|(_, ranks)| ranks.len() > 1)
}
