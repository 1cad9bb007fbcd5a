//! Points that expire, and have not been used: the oldest are used first.

use std::collections::BTreeMap;

use time::OffsetDateTime;

/// Instants at which points of one account may expire, at most. What comes beyond it joins the next instant that is later, or moves
/// the last one back: it never expires earlier than it should.
pub const LOTS_MOST: usize = 128;

/// Points that expire together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// The first instant at which they can no longer be used.
    pub expires_at: OffsetDateTime,
    /// How many there are left of them, above zero.
    pub points: i64,
}

/// All points of an account that expire, by instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lots(BTreeMap<OffsetDateTime, i64>);

impl Lots {
    /// Adds points.
    pub fn add(&mut self, lot: Lot) {
        let Lot { mut expires_at, mut points } = lot;
        if self.0.len() >= LOTS_MOST && !self.0.contains_key(&expires_at) {
            match self.0.range(expires_at..).next() {
                Some((later, _)) => expires_at = *later,
                None => points += self.0.pop_last().map_or(0, |(_, last)| last),
            }
        }
        *self.0.entry(expires_at).or_default() += points;
    }

    /// Takes as many as are asked for, or as there are, the oldest first; says which.
    pub fn take(&mut self, points: i64) -> Vec<Lot> {
        let (mut taken, mut left) = (Vec::new(), points);
        while left > 0
            && let Some(mut first) = self.0.first_entry()
        {
            let (expires_at, part) = (*first.key(), left.min(*first.get()));
            *first.get_mut() -= part;
            if *first.get() == 0 {
                first.remove();
            }
            taken.push(Lot { expires_at, points: part });
            left -= part;
        }
        taken
    }

    /// Takes the oldest lot, if its time is over at `now`.
    pub fn take_due(&mut self, now: OffsetDateTime) -> Option<Lot> {
        let first = self.0.first_entry().filter(|first| *first.key() <= now)?;
        let (expires_at, points) = first.remove_entry();
        Some(Lot { expires_at, points })
    }

    /// How many expire up to this instant.
    #[must_use]
    pub fn until(&self, instant: OffsetDateTime) -> i64 {
        self.0.range(..=instant).map(|(_, points)| points).sum()
    }

    /// How many there are.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.0.values().sum()
    }

    /// When the first of them expire.
    #[must_use]
    pub fn next_expiry(&self) -> Option<OffsetDateTime> {
        self.0.first_key_value().map(|(expires_at, _)| *expires_at)
    }

    /// What has become of these since they were `before`: those that are new or other than before, and those that are gone.
    #[must_use]
    pub fn since(&self, before: &Self) -> (Vec<Lot>, Vec<OffsetDateTime>) {
        let changed = self.0.iter().filter(|(at, points)| before.0.get(at) != Some(points));
        let changed = changed.map(|(expires_at, points)| Lot { expires_at: *expires_at, points: *points });
        let gone = before.0.keys().filter(|at| !self.0.contains_key(at));
        (changed.collect(), gone.copied().collect())
    }
}

impl FromIterator<Lot> for Lots {
    fn from_iter<I: IntoIterator<Item = Lot>>(lots: I) -> Self {
        Self(lots.into_iter().map(|lot| (lot.expires_at, lot.points)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lot(ms: i64, points: i64) -> Lot {
        Lot { expires_at: kit::clock::from_millis(ms), points }
    }

    fn lots(of: &[(i64, i64)]) -> Lots {
        of.iter().map(|(ms, points)| lot(*ms, *points)).collect()
    }

    #[test]
    fn the_oldest_go_first_and_the_last_one_in_part() {
        let mut some = lots(&[(30, 5), (10, 2), (20, 3)]);
        assert_eq!(some.take(4), [lot(10, 2), lot(20, 2)]);
        assert_eq!(some, lots(&[(20, 1), (30, 5)]));
        assert_eq!(some.take(100), [lot(20, 1), lot(30, 5)]);
        assert_eq!((some.take(1), some.next_expiry()), (Vec::new(), None));
    }

    #[test]
    fn what_is_due_is_what_expires_up_to_now() {
        let mut some = lots(&[(10, 2), (20, 3)]);
        let now = kit::clock::from_millis(10);
        assert_eq!((some.until(now), some.sum()), (2, 5));
        assert_eq!(some.take_due(now), Some(lot(10, 2)));
        assert_eq!(some.take_due(now), None);
    }

    #[test]
    fn beyond_the_bound_nothing_expires_earlier_than_it_should() {
        let most = i64::try_from(LOTS_MOST).unwrap();
        let full = || (1..=most).map(|nth| lot(nth * 10, 1)).collect::<Lots>();
        let mut some = full();
        some.add(lot(15, 7));
        some.add(lot(20, 1));
        assert_eq!(some.since(&full()), (vec![lot(20, 9)], Vec::new()));
        let mut some = full();
        some.add(lot(most * 10 + 5, 7));
        let last = kit::clock::from_millis(most * 10);
        assert_eq!(some.since(&full()), (vec![lot(most * 10 + 5, 8)], vec![last]));
    }
}
