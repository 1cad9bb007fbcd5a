//! What Redis keeps of a board against what PostgreSQL has. Pure.

use std::collections::HashMap;

use crate::board::Score;
use crate::redis::Kept;

/// Sentences of one board, at most; the rest is counted.
const SENTENCES: usize = 20;

/// What is wrong, given all scores of the board, read after what is kept; and the versions that it has had the time to come to.
pub(super) fn board(kept: &Kept, scores: &[Score], expected: &HashMap<String, i64>) -> Vec<String> {
    if !kept.whole && !scores.is_empty() {
        return vec![format!("Redis does not have it, or not all of it, and {} scores belong to it", scores.len())];
    }
    let mut found: Vec<String> = scores.iter().filter_map(|score| item(kept, score, expected)).collect();
    let known: HashMap<&str, ()> = scores.iter().map(|score| (score.item_id.as_str(), ())).collect();
    let unknown = kept.items.iter().filter(|(item, _)| !known.contains_key(item.as_str()));
    found.extend(unknown.map(|(item, (score, _))| format!("{item} has {score} in Redis, and was never sold")));
    let more = found.len().saturating_sub(SENTENCES);
    found.truncate(SENTENCES);
    found.extend((more > 0).then(|| format!("... and {more} more")));
    found
}

fn item(kept: &Kept, score: &Score, expected: &HashMap<String, i64>) -> Option<String> {
    let Score { item_id, score, version } = score;
    let (there, there_version) = kept.items.get(item_id.as_str()).copied().unwrap_or_default();
    // One that has just changed need not be there yet.
    let is_late = there_version < expected.get(item_id.as_str()).copied().unwrap_or_default();
    let is_wrong = if there_version < *version { is_late } else { (there, there_version) != (*score, *version) };
    is_wrong.then(|| {
        format!("{item_id} has {score} (change {version}) in PostgreSQL, and {there} (change {there_version}) in Redis")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::ItemId;

    fn scores(scores: &[(&str, i64, i64)]) -> Vec<Score> {
        let score = |(item, score, version): &(&str, i64, i64)| Score {
            item_id: ItemId::parse(item).unwrap(),
            score: *score,
            version: *version,
        };
        scores.iter().map(score).collect()
    }

    fn kept(items: &[(&str, i64, i64)]) -> Kept {
        let items = items.iter().map(|(item, score, version)| ((*item).to_owned(), (*score, *version)));
        Kept { items: items.collect(), whole: true }
    }

    fn expected(items: &[(&str, i64)]) -> HashMap<String, i64> {
        items.iter().map(|(item, version)| ((*item).to_owned(), *version)).collect()
    }

    #[test]
    fn what_is_as_it_should_be_is_not_spoken_of() {
        let rows = scores(&[("cake", 0, 2), ("tea", 5, 3)]);
        assert!(
            board(&kept(&[("cake", 0, 2), ("tea", 5, 3)]), &rows, &expected(&[("cake", 2), ("tea", 3)])).is_empty()
        );
        assert!(board(&Kept::default(), &[], &HashMap::new()).is_empty());
    }

    #[test]
    fn what_is_on_its_way_is_waited_for_and_no_longer() {
        let (rows, there) = (scores(&[("tea", 5, 3)]), kept(&[("tea", 4, 2)]));
        assert!(board(&there, &rows, &expected(&[("tea", 2)])).is_empty());
        assert_eq!(board(&there, &rows, &expected(&[("tea", 3)])).len(), 1);
    }

    #[test]
    fn each_difference_is_said_once() {
        let rows = scores(&[("cake", 0, 2), ("milk", 1, 1), ("pie", 2, 2), ("tea", 5, 3)]);
        let there = kept(&[("cake", 1, 2), ("ghost", 9, 9), ("pie", 2, 7), ("tea", 5, 3)]);
        let found = board(&there, &rows, &expected(&[("cake", 2), ("milk", 1), ("pie", 2), ("tea", 3)]));
        assert_eq!(
            found,
            [
                "cake has 0 (change 2) in PostgreSQL, and 1 (change 2) in Redis",
                "milk has 1 (change 1) in PostgreSQL, and 0 (change 0) in Redis",
                "pie has 2 (change 2) in PostgreSQL, and 2 (change 7) in Redis",
                "ghost has 9 in Redis, and was never sold",
            ]
        );
        let lost = Kept { whole: false, ..there };
        assert_eq!(board(&lost, &rows, &HashMap::new()).len(), 1);
    }
}
