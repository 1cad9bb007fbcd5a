//! Whatever may come: batches of any operations, repeated, over a few accounts and orders.

use proptest::prelude::*;

use super::*;

const USERS: [&str; 3] = ["ann", "bob", "cid"];

/// One operation, and how long after the one before it comes.
fn operation() -> impl Strategy<Value = Operation> {
    let user_id = || prop::sample::select(USERS.as_slice()).prop_map(user);
    let order_id = || (0..6).prop_map(|nth| order(&format!("o{nth}")));
    prop_oneof![
        3 => (user_id(), 1..50_i64, prop::option::of(1..400_i64)).prop_map(|(user_id, amount, expires_ms)| {
            Operation::Earn { user_id, amount, expires_at: expires_ms.map(at), reason: None }
        }),
        2 => (user_id(), 1..60_i64, order_id())
            .prop_map(|(user_id, amount, order_id)| Operation::Deduct { user_id, amount, order_id }),
        1 => order_id().prop_map(|order_id| Operation::Refund { order_id }),
        4 => (user_id(), 0..60_i64, order_id(), prop::bool::ANY).prop_map(|(user_id, amount, order_id, back)| {
            let step = if back { Step::Undo } else { Step::Do };
            Operation::Step { order_id, user_id, amount, step }
        }),
        1 => user_id().prop_map(|user_id| Operation::Expire { user_id }),
    ]
}

/// Requests have few keys, so that many come again, with the same content or another.
fn any_asked() -> impl Strategy<Value = Asked> {
    let request = prop::option::of(0..20_u8);
    (operation(), request).prop_map(|(operation, request)| match (&operation, request) {
        (Operation::Step { .. } | Operation::Expire { .. }, _) | (_, None) => Asked { operation, request: None },
        (_, Some(nth)) => asked(&format!("r{nth}"), operation),
    })
}

fn batches() -> impl Strategy<Value = Vec<(i64, Vec<Asked>)>> {
    prop::collection::vec((0..60_i64, prop::collection::vec(any_asked(), 1..12)), 1..12)
}

/// What must be true after each batch, whatever it was.
fn check(kept: &Kept) {
    for (user_id, account) in &kept.accounts {
        let entries = kept.entries.get(user_id).map(Vec::as_slice).unwrap_or_default();
        let (mut balance, mut nth) = (0, 0);
        for entry in entries {
            (balance, nth) = (balance + entry.amount, nth + 1);
            assert_eq!((entry.balance_after, entry.nth), (balance, nth), "{entries:?}");
            assert!(balance >= 0, "{entry:?}");
        }
        assert!(entries.is_sorted_by_key(|entry| entry.created_at));
        assert_eq!((account.balance, account.version), (balance, nth));
        assert!(account.lots.sum() <= account.balance, "{account:?}");
    }
    let all = || kept.entries.values().flatten();
    for (order_id, used) in &kept.uses {
        let of = |kind| all().filter(move |entry| entry.kind == kind && entry.order_id.as_ref() == Some(order_id));
        let (out, back): (Vec<_>, Vec<_>) = (of(Kind::Deduct).collect(), of(Kind::Refund).collect());
        assert!(out.len() <= 1 && back.len() <= out.len(), "{out:?} {back:?}");
        let sum = |entries: &[&Entry]| entries.iter().map(|entry| entry.amount).sum::<i64>();
        assert_eq!(sum(&out), -used.taken.as_ref().map_or(0, |taken| taken.amount));
        assert_eq!(sum(&back), used.refunded());
        assert_eq!(used.undone && used.taken.is_some(), used.refunded_nth.is_some());
    }
    // What has expired was never used: each entry that takes leaves the points that expire where they are.
    assert!(all().filter(|entry| entry.kind == Kind::Expire).all(|entry| entry.expired_at <= Some(entry.created_at)));
}

proptest! {
    #[test]
    fn whatever_comes_adds_up(batches in batches()) {
        let (mut kept, mut now_ms) = (Kept::default(), 0);
        for (later_ms, batch) in batches {
            now_ms += later_ms;
            kept.carry_out(now_ms, &batch);
            check(&kept);
        }
    }

    /// How operations are divided into batches makes no difference, so that whoever groups them decides nothing.
    #[test]
    fn one_batch_is_as_good_as_many(batch in prop::collection::vec(any_asked(), 1..40)) {
        let (mut whole, mut single) = (Kept::default(), Kept::default());
        let (outcomes, _) = whole.carry_out(0, &batch);
        let one_by_one: Vec<Outcome> =
            batch.iter().map(|asked| single.carry_out(0, std::slice::from_ref(asked)).0.remove(0)).collect();
        prop_assert_eq!(outcomes, one_by_one);
        prop_assert_eq!(whole, single);
    }

    /// All that came by requests, and all that orders asked, once more: nothing changes, and everyone is told the same.
    #[test]
    fn what_comes_again_changes_nothing(batches in batches()) {
        let (mut kept, mut now_ms) = (Kept::default(), 0);
        let mut told = Vec::new();
        for (later_ms, batch) in batches {
            now_ms += later_ms;
            let may_repeat = |asked: &Asked| asked.request.is_some() || matches!(asked.operation, Operation::Step { .. });
            let batch: Vec<Asked> = batch.into_iter().filter(may_repeat).collect();
            let (outcomes, facts) = kept.carry_out(now_ms, &batch);
            let answers: Vec<Answer> = facts.iter().filter_map(answer).cloned().collect();
            told.push((batch, outcomes, answers));
        }
        kept.carry_out(now_ms, &USERS.map(|name| Asked { operation: Operation::Expire { user_id: user(name) }, request: None }));
        let before = kept.clone();
        for (batch, outcomes, answers) in told {
            let (again, facts) = kept.carry_out(now_ms, &batch);
            for (first, again) in outcomes.iter().zip(&again) {
                match first {
                    Outcome::Done(entry) => prop_assert_eq!(again, &Outcome::Before(entry.user_id.clone(), entry.nth)),
                    // It may have another field wrong by now, or its key may have been used since.
                    Outcome::Invalid(_) => prop_assert!(matches!(again, Outcome::Invalid(_) | Outcome::Reused | Outcome::Before(..))),
                    Outcome::Before(..) | Outcome::Nothing | Outcome::Refused(_) | Outcome::Reused => prop_assert_eq!(again, first),
                }
            }
            // An order that was undone by somebody else meanwhile is told so when it undoes itself; a DO is told the same.
            for (first, again) in answers.iter().zip(facts.iter().filter_map(answer)) {
                prop_assert_eq!(again, first);
            }
        }
        prop_assert_eq!(kept, before);
    }

    /// Points that expire and are not used are gone at their instant, and not a moment earlier.
    #[test]
    fn what_expires_is_available_until_then(lots in prop::collection::vec((1..50_i64, 1..300_i64), 1..20), now_ms in 0..300_i64) {
        let mut kept = Kept::default();
        for (amount, expires_ms) in &lots {
            kept.one(0, earn(*amount, Some(*expires_ms)));
        }
        let left: i64 = lots.iter().filter(|(_, expires_ms)| *expires_ms > now_ms).map(|(amount, _)| amount).sum();
        prop_assert_eq!(kept.balance(now_ms), left);
        if left > 0 {
            prop_assert!(matches!(kept.one(now_ms, deduct(left, "o1")), Outcome::Done(_)));
        }
        prop_assert_eq!(kept.one(now_ms, deduct(1, "o2")), Outcome::Refused(Refusal::InsufficientPoints));
        check(&kept);
    }
}
