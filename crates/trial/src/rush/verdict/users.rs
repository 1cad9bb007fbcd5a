//! What each user was told, against what is kept for him.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::misnamed;
use super::{Row, SOLD_OUT, Told, Violation};

/// I3 and I4, and that a user is always told the same.
pub(super) fn check(users: &BTreeMap<&str, Told<'_>>, deal_id: &str, kept: &[Row]) -> Vec<Violation> {
    let mut ranks: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for row in kept {
        ranks.entry(&row.user).or_default().push(row.rank);
    }
    let mut found = Vec::new();
    for (user, told) in users {
        found.extend(consistent(user, told));
        found.extend(told.yes.iter().filter_map(|(rank, coupon_id)| misnamed(coupon_id, deal_id, *rank)));
        found.extend(kept_promise(user, told, ranks.get(user).map(Vec::as_slice).unwrap_or_default()));
    }
    let unmade = kept.iter().filter(|row| !users.contains_key(row.user.as_str()));
    found.extend(unmade.map(|row| Violation::Unmade { user: row.user.clone(), rank: row.rank }));
    found
}

/// What can be seen from the answers alone.
fn consistent(user: &str, told: &Told<'_>) -> Vec<Violation> {
    let user = || user.to_owned();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let ranks: Vec<i64> = told.yes.iter().map(|(rank, _)| *rank).filter(|rank| seen.insert(*rank)).collect();
    if ranks.len() > 1 {
        found.push(Violation::Changed { user: user(), ranks: ranks.clone() });
    }
    // Only an attempt that was sent when the yes was there already had to be told of it.
    let asked_again = |sent| told.first_yes.is_some_and(|answered| answered <= sent);
    if told.no.iter().any(|(reason, sent)| *reason == SOLD_OUT && asked_again(*sent)) {
        found.push(Violation::Forgotten { user: user(), rank: ranks[0] });
    }
    let odd: BTreeSet<&str> = told.no.iter().map(|(reason, _)| *reason).filter(|reason| *reason != SOLD_OUT).collect();
    found.extend(odd.into_iter().map(|reason| Violation::Odd { user: user(), reason: reason.to_owned() }));
    found
}

fn kept_promise(user: &str, told: &Told<'_>, kept: &[i64]) -> Option<Violation> {
    let user = user.to_owned();
    match (told.yes.first(), kept.first()) {
        (Some((rank, _)), None) => Some(Violation::Lost { user, rank: *rank }),
        (Some((told, _)), Some(first)) if !kept.contains(told) => {
            Some(Violation::Moved { user, told: *told, kept: *first })
        }
        (None, Some(rank)) if told.is_sold_out() => Some(Violation::Unwelcome { user, rank: *rank }),
        (Some(_), Some(_)) | (None, Some(_) | None) => None,
    }
}
