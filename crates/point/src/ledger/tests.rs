//! Rules of the ledger: one by one, and for whatever may come.

mod any;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::account;

/// A ledger that is kept from batch to batch, as the tables keep it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Kept {
    accounts: HashMap<UserId, Account>,
    uses: HashMap<OrderId, OrderUse>,
    known: HashMap<RequestId, Remembered>,
    entries: HashMap<UserId, Vec<Entry>>,
}

impl Kept {
    /// Carries a batch out at this millisecond; returns the outcomes and what was told.
    fn carry_out(&mut self, now_ms: i64, asked: &[Asked]) -> (Vec<Outcome>, Vec<Fact>) {
        let mut ledger = Ledger::open(Standing {
            now: at(now_ms),
            accounts: self.accounts.values().cloned().collect(),
            uses: self.uses.values().cloned().collect(),
            known: self.known.values().cloned().collect(),
        });
        let outcomes = asked.iter().map(|asked| ledger.decide(asked)).collect();
        let changes = ledger.close();
        self.keep(&changes);
        (outcomes, changes.facts)
    }

    /// As the statements do it: lots by what has changed of them.
    fn keep(&mut self, changes: &Changes) {
        let mut lots: HashMap<UserId, HashMap<OffsetDateTime, i64>> = HashMap::new();
        for account in &changes.accounts {
            let before = self.accounts.get(&account.user_id).map(|before| before.lots.clone()).unwrap_or_default();
            let before = before.since(&Lots::default()).0;
            lots.insert(account.user_id.clone(), before.iter().map(|lot| (lot.expires_at, lot.points)).collect());
        }
        for (user_id, lot) in &changes.lots {
            lots.get_mut(user_id).unwrap().insert(lot.expires_at, lot.points);
        }
        for (user_id, gone) in &changes.lots_gone {
            lots.get_mut(user_id).unwrap().remove(gone).unwrap();
        }
        for account in &changes.accounts {
            let kept = lots.remove(&account.user_id).unwrap().into_iter();
            let kept: Lots = kept.map(|(expires_at, points)| Lot { expires_at, points }).collect();
            assert_eq!(kept, account.lots, "what is written of lots is what there is");
            self.accounts.insert(account.user_id.clone(), account.clone());
        }
        for entry in &changes.entries {
            self.entries.entry(entry.user_id.clone()).or_default().push(entry.clone());
        }
        self.uses.extend(changes.uses.iter().map(|order| (order.order_id.clone(), order.clone())));
        let remembered = changes.remembered.iter().cloned();
        self.known.extend(remembered.map(|known| (known.request.request_id.clone(), known)));
    }

    fn one(&mut self, now_ms: i64, operation: Operation) -> Outcome {
        self.carry_out(now_ms, &[Asked { operation, request: None }]).0.remove(0)
    }

    /// What the order is told.
    fn step(&mut self, now_ms: i64, operation: Operation) -> (Result<(), Cause>, i64) {
        let (_, facts) = self.carry_out(now_ms, &[Asked { operation, request: None }]);
        let answers: Vec<_> = facts.iter().filter_map(answer).collect();
        assert_eq!(answers.len(), 1);
        (answers[0].done, answers[0].amount)
    }

    fn balance(&self, now_ms: i64) -> i64 {
        self.accounts.get(&user("ann")).map_or(0, |account| account.standing(at(now_ms)).available)
    }

    /// The kinds and amounts of ann's entries.
    fn story(&self) -> Vec<(Kind, i64)> {
        self.entries.get(&user("ann")).into_iter().flatten().map(|entry| (entry.kind, entry.amount)).collect()
    }
}

fn answer(fact: &Fact) -> Option<&Answer> {
    match fact {
        Fact::StepAnswered(answer) => Some(answer),
        Fact::BalanceChanged(_) => None,
    }
}

fn at(ms: i64) -> OffsetDateTime {
    kit::clock::from_millis(ms)
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn order(name: &str) -> OrderId {
    OrderId::parse(name).unwrap()
}

fn earn(amount: i64, expires_ms: Option<i64>) -> Operation {
    Operation::Earn { user_id: user("ann"), amount, expires_at: expires_ms.map(at), reason: None }
}

fn deduct(amount: i64, order_id: &str) -> Operation {
    Operation::Deduct { user_id: user("ann"), amount, order_id: order(order_id) }
}

fn refund(order_id: &str) -> Operation {
    Operation::Refund { order_id: order(order_id) }
}

fn step(step: Step, amount: i64, order_id: &str) -> Operation {
    Operation::Step { order_id: order(order_id), user_id: user("ann"), amount, step }
}

fn asked(request_id: &str, operation: Operation) -> Asked {
    let digest = Sha256::digest(format!("{operation:?}")).into();
    Asked { operation, request: Some(Request { request_id: RequestId::parse(request_id).unwrap(), digest }) }
}

#[test]
fn operations_of_a_batch_count_for_each_other_in_their_order() {
    let mut kept = Kept::default();
    let batch = [deduct(1, "o1"), earn(10, None), deduct(8, "o1"), deduct(3, "o2"), deduct(2, "o3")];
    let batch = batch.map(|operation| Asked { operation, request: None });
    let (outcomes, facts) = kept.carry_out(0, &batch);
    let refused = Outcome::Refused(Refusal::InsufficientPoints);
    assert_eq!((&outcomes[0], &outcomes[3]), (&refused, &refused));
    assert_eq!(kept.story(), [(Kind::Earn, 10), (Kind::Deduct, -8), (Kind::Deduct, -2)]);
    // One word about the account, however many entries.
    let balance = account::Balance { user_id: user("ann"), available: 0, expiring_soon: 0, version: 3 };
    assert_eq!(facts, [Fact::BalanceChanged(balance)]);
}

#[test]
fn what_expires_first_is_used_first_and_what_never_does_last() {
    let mut kept = Kept::default();
    for operation in [earn(5, None), earn(5, Some(200)), earn(5, Some(100))] {
        kept.one(0, operation);
    }
    kept.one(0, deduct(7, "o1"));
    assert_eq!(kept.accounts[&user("ann")].lots, Lots::from_iter([Lot { expires_at: at(200), points: 3 }]));
    // Three of them expire, by an entry before anything else happens, and once.
    assert_eq!((kept.balance(199), kept.balance(200)), (8, 5));
    assert_eq!(kept.one(200, deduct(6, "o2")), Outcome::Refused(Refusal::InsufficientPoints));
    kept.one(300, Operation::Expire { user_id: user("ann") });
    let expired: Vec<_> = kept.entries[&user("ann")].iter().filter_map(|entry| entry.expired_at).collect();
    assert_eq!((kept.balance(300), expired), (5, vec![at(200)]));
    assert_eq!(kept.story().last(), Some(&(Kind::Expire, -3)));
}

#[test]
fn a_refund_gives_back_as_if_the_order_had_never_been() {
    let mut kept = Kept::default();
    for operation in [earn(5, None), earn(5, Some(200)), earn(5, Some(100)), deduct(12, "o1")] {
        kept.one(0, operation);
    }
    let Outcome::Done(entry) = kept.one(150, refund("o1")) else { panic!("it gives back") };
    assert_eq!((entry.kind, entry.amount, entry.balance_after), (Kind::Refund, 12, 15));
    // What would have expired meanwhile expires with it, and the rest when it would have.
    assert_eq!(kept.story()[4..], [(Kind::Refund, 12), (Kind::Expire, -5)]);
    assert_eq!((kept.balance(150), kept.balance(200)), (10, 5));
    for _ in 0..2 {
        assert_eq!(kept.one(150, refund("o1")), Outcome::Before(user("ann"), entry.nth));
        assert_eq!(kept.one(150, deduct(1, "o1")), Outcome::Refused(Refusal::OrderDone));
    }
}

#[test]
fn a_refund_before_the_deduction_leaves_a_mark() {
    let mut kept = Kept::default();
    kept.one(0, earn(10, None));
    for _ in 0..2 {
        assert_eq!(kept.one(0, refund("o1")), Outcome::Nothing);
    }
    assert_eq!(kept.one(0, deduct(1, "o1")), Outcome::Refused(Refusal::OrderDone));
    assert_eq!(kept.step(0, step(Step::Do, 1, "o1")), (Err(Cause::OrderUndone), 0));
    assert_eq!(kept.step(0, step(Step::Undo, 1, "o1")), (Ok(()), 0));
    assert_eq!(kept.balance(0), 10);
}

#[test]
fn an_order_is_told_the_same_each_time() {
    let mut kept = Kept::default();
    kept.one(0, earn(10, None));
    for _ in 0..2 {
        assert_eq!(kept.step(0, step(Step::Do, 4, "o1")), (Ok(()), 4));
        assert_eq!(kept.step(0, step(Step::Do, 7, "o2")), (Err(Cause::InsufficientPoints), 0));
        // It uses none: it is done, and nothing is taken for it afterwards.
        assert_eq!(kept.step(0, step(Step::Do, 0, "o3")), (Ok(()), 0));
    }
    for _ in 0..2 {
        assert_eq!(kept.step(0, step(Step::Undo, 4, "o1")), (Ok(()), 4));
        assert_eq!(kept.step(0, step(Step::Undo, 7, "o2")), (Ok(()), 0));
        assert_eq!(kept.step(0, step(Step::Do, 4, "o1")), (Ok(()), 4));
        assert_eq!(kept.step(0, step(Step::Do, 7, "o2")), (Err(Cause::InsufficientPoints), 0));
    }
    assert_eq!(kept.story(), [(Kind::Earn, 10), (Kind::Deduct, -4), (Kind::Refund, 4)]);
    assert_eq!(kept.one(0, deduct(1, "o3")), Outcome::Refused(Refusal::OrderDone));
}

#[test]
fn an_orders_points_are_taken_once_whoever_asks() {
    let mut kept = Kept::default();
    kept.one(0, earn(20, None));
    kept.one(0, deduct(4, "o1"));
    assert_eq!(kept.step(0, step(Step::Do, 4, "o1")), (Ok(()), 4));
    assert_eq!(kept.one(0, deduct(4, "o1")), Outcome::Refused(Refusal::OrderDone));
    // Others than it wants: it does not have them.
    kept.one(0, deduct(4, "o2"));
    assert_eq!(kept.step(0, step(Step::Do, 5, "o2")), (Err(Cause::OrderDone), 0));
    let bobs = Operation::Step { order_id: order("o2"), user_id: user("bob"), amount: 4, step: Step::Do };
    assert_eq!(kept.step(0, bobs), (Err(Cause::OrderDone), 0));
    // Both give back once, whoever comes first.
    assert_eq!(kept.step(0, step(Step::Undo, 4, "o1")), (Ok(()), 4));
    assert!(matches!(kept.one(0, refund("o1")), Outcome::Before(..)));
    assert!(matches!(kept.one(0, refund("o2")), Outcome::Done(_)));
    assert_eq!(kept.step(0, step(Step::Undo, 5, "o2")), (Ok(()), 4));
    assert_eq!(kept.balance(0), 20);
    // A refusal that no order was told of lets it try again.
    assert_eq!(kept.one(0, deduct(21, "o3")), Outcome::Refused(Refusal::InsufficientPoints));
    assert_eq!(kept.step(0, step(Step::Do, 20, "o3")), (Ok(()), 20));
}

#[test]
fn a_request_is_carried_out_once_and_answered_the_same() {
    let mut kept = Kept::default();
    let twice = [asked("r1", earn(5, None)), asked("r1", earn(5, None)), asked("r1", earn(6, None))];
    let (outcomes, _) = kept.carry_out(0, &twice);
    assert!(matches!(&outcomes[0], Outcome::Done(entry) if entry.nth == 1));
    assert_eq!(outcomes[1..], [Outcome::Before(user("ann"), 1), Outcome::Reused]);
    let refused = asked("r2", deduct(6, "o1"));
    let no = (vec![Outcome::Refused(Refusal::InsufficientPoints)], Vec::new());
    assert_eq!(kept.carry_out(0, std::slice::from_ref(&refused)), no);
    kept.one(0, earn(5, None));
    assert_eq!(kept.carry_out(0, &[refused]), no);
    assert!(matches!(kept.carry_out(0, &[asked("r3", deduct(6, "o1"))]).0[0], Outcome::Done(_)));
}

#[test]
fn what_cannot_be_as_things_stand_is_not_remembered() {
    let mut kept = Kept::default();
    let field = |outcome: &Outcome| {
        let Outcome::Invalid(invalid) = outcome else { panic!("{outcome:?}") };
        invalid.field.to_string()
    };
    let late = [asked("r1", earn(5, Some(100)))];
    assert_eq!(field(&kept.carry_out(100, &late).0[0]), "expires_at");
    assert!(matches!(kept.carry_out(99, &late).0[0], Outcome::Done(_)));
    // It was carried out once: that its time is over changes nothing of the answer.
    assert_eq!(kept.carry_out(200, &late).0, [Outcome::Before(user("ann"), 1)]);
    assert_eq!(field(&kept.one(200, earn(BALANCE_MOST + 1, None))), "amount");
    kept.one(200, earn(BALANCE_MOST, None));
    assert_eq!(field(&kept.one(200, earn(1, None))), "amount");
    // What was taken is given back all the same.
    kept.one(200, deduct(5, "o1"));
    kept.one(200, earn(5, None));
    assert!(matches!(kept.one(200, refund("o1")), Outcome::Done(_)));
    assert_eq!(kept.balance(200), BALANCE_MOST + 5);
}

#[test]
fn instants_of_entries_never_go_back() {
    let mut kept = Kept::default();
    kept.one(500, earn(5, None));
    kept.one(400, earn(5, None));
    let instants: Vec<_> = kept.entries[&user("ann")].iter().map(|entry| entry.created_at).collect();
    assert_eq!(instants, [at(500), at(500)]);
}
