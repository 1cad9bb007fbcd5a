use std::time::Duration;

use kit::money::Money;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;

fn case(kind: Kind) -> Case {
    let payment = Payment {
        payment_id: PaymentId::parse("p").unwrap(),
        order_id: OrderId::parse("o").unwrap(),
        user_id: UserId::parse("u").unwrap(),
        amount: Money { currency: "KRW".to_owned(), minor_units: 100 },
        method: "sandbox".to_owned(),
        state: State::Pending,
        provider_reference: None,
        version: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
    };
    let (owes_do, owes_undo) = (kind == Kind::Do, kind == Kind::Undo);
    Case { payment, wanted: kind, reply: None, owes_do, owes_undo, attempts: 0, due: Due::In(Duration::ZERO) }
}

fn pause(_: i32) -> Duration {
    Duration::from_secs(1)
}

fn charged() -> Said {
    Said::Charged("r".to_owned())
}

fn answers(told: &[Told]) -> Vec<(Kind, Option<Reply>)> {
    let answer = |told: &Told| match told {
        Told::Answered(_, kind, reply) => Some((*kind, *reply)),
        Told::Changed(_) => None,
    };
    told.iter().filter_map(answer).collect()
}

#[test]
fn a_charge_is_answered_once_it_is_known_and_each_time_the_same() {
    let mut case = case(Kind::Do);
    assert_eq!(case.command(), Some(Command::Charge));
    assert_eq!(case.ask(Kind::Do), None);
    assert_eq!(answers(&case.hear(&charged(), pause)), [(Kind::Do, Some(Reply::Done))]);
    assert_eq!((case.command(), case.due, case.payment.version), (None, Due::Settled, 2));
    assert_eq!(answers(case.ask(Kind::Do).as_slice()), [(Kind::Do, Some(Reply::Done))]);
}

#[test]
fn what_is_charged_is_refunded_and_the_charge_stays_answered_as_it_was() {
    let mut case = case(Kind::Do);
    let _ = case.hear(&charged(), pause);
    assert_eq!(case.ask(Kind::Undo), None);
    assert_eq!(case.command(), Some(Command::Refund));
    let told = case.hear(&Said::Refunded("r".to_owned()), pause);
    assert_eq!((answers(&told), case.payment.refunded()), (vec![(Kind::Undo, None)], 100));
    assert_eq!(answers(case.ask(Kind::Undo).as_slice()), [(Kind::Undo, None)]);
    assert_eq!(answers(case.ask(Kind::Do).as_slice()), [(Kind::Do, Some(Reply::Done))]);
}

#[test]
fn an_undo_that_comes_first_is_voided_and_leaves_a_mark() {
    let mut case = case(Kind::Undo);
    assert_eq!(case.command(), Some(Command::Void));
    assert_eq!(case.ask(Kind::Do), None);
    let told = case.hear(&Said::Voided, pause);
    assert_eq!(answers(&told), [(Kind::Do, Some(Reply::Undone)), (Kind::Undo, None)]);
    assert_eq!(answers(case.ask(Kind::Do).as_slice()), [(Kind::Do, Some(Reply::Undone))]);
}

#[test]
fn an_undo_of_what_was_declined_has_nothing_to_do() {
    let mut case = case(Kind::Do);
    assert_eq!(answers(&case.hear(&Said::Declined, pause)), [(Kind::Do, Some(Reply::Declined))]);
    assert_eq!(answers(case.ask(Kind::Undo).as_slice()), [(Kind::Undo, None)]);
    assert_eq!(case.command(), None);
}

#[test]
fn a_late_charge_is_refunded_whatever_was_said_before() {
    for before in [Said::Voided, Said::Declined] {
        let mut case = case(Kind::Do);
        let _ = case.hear(&before, pause);
        assert_eq!(answers(&case.hear(&charged(), pause)), [], "the order was told already");
        assert_eq!((case.command(), case.wanted), (Some(Command::Refund), Kind::Undo));
        let _ = case.hear(&Said::Refunded("r".to_owned()), pause);
        assert!(case.is_settled());
    }
}

#[test]
fn an_answer_that_says_nothing_new_is_none() {
    let mut case = case(Kind::Do);
    let _ = case.hear(&charged(), pause);
    assert_eq!(case.hear(&Said::Declined, pause), []);
    assert_eq!((case.payment.state, case.due), (State::Charged, Due::Settled));
    let _ = case.ask(Kind::Undo);
    // A provider that says that it has not given back what it was told to: it is told again, but not at once.
    assert_eq!(case.hear(&charged(), pause), []);
    assert_eq!((case.attempts, case.due), (1, Due::In(Duration::from_secs(1))));
}

#[test]
fn another_amount_is_another_charge_unless_it_is_undone() {
    let mut case = case(Kind::Do);
    let payment = case.payment.clone();
    let amount = Money { minor_units: 99, ..payment.amount };
    let (order_id, user_id, method) = (payment.order_id, payment.user_id, payment.method);
    let mut asked = Asked { order_id, user_id, amount, method, kind: Kind::Do };
    assert!(!case.agrees(&asked));
    asked.kind = Kind::Undo;
    assert!(case.agrees(&asked));
    let _ = case.ask(Kind::Undo);
    asked.kind = Kind::Do;
    assert!(case.agrees(&asked));
}

/// A provider that keeps its word, and what it has done.
#[derive(Debug, Default)]
struct Provider {
    state: Option<Said>,
    charges: u32,
    declines: bool,
}

impl Provider {
    fn obey(&mut self, command: Command) -> Option<Said> {
        let next = match (command, self.state.clone()) {
            (Command::Charge, None) if self.declines => Some(Said::Declined),
            (Command::Charge, None) => {
                self.charges += 1;
                Some(charged())
            }
            (Command::Void, None) => Some(Said::Voided),
            (Command::Refund, Some(Said::Charged(reference))) => Some(Said::Refunded(reference)),
            (Command::Charge | Command::Void | Command::Refund, same) => same,
        };
        self.state = next;
        self.state.clone()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(Kind),
    /// The provider gets the command that was last sent, at last, and its answer is on its way.
    Arrive,
    /// The answer that has been on its way for longest, or the newest one, arrives.
    Answer(bool),
    /// A call was given up; it may arrive at the provider all the same.
    GiveUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Ask(Kind::Do)),
        1 => Just(Step::Ask(Kind::Undo)),
        4 => Just(Step::Arrive),
        4 => any::<bool>().prop_map(Step::Answer),
        2 => Just(Step::GiveUp),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever is repeated, lost, late or out of order: at most one charge, the same answers, and in the end what was wanted.
    #[test]
    fn every_order_of_things_ends_as_it_was_wanted(steps in steps(), first in any::<bool>(), declines in any::<bool>()) {
        let mut case = case(if first { Kind::Do } else { Kind::Undo });
        let mut provider = Provider { declines, ..Provider::default() };
        let (mut sent, mut answered, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Ask(kind) => told.extend(case.ask(kind)),
                Step::Arrive => {
                    sent.extend(case.command());
                    if let Some(command) = sent.pop() {
                        answered.extend(provider.obey(command));
                    }
                }
                Step::Answer(oldest) if !answered.is_empty() => {
                    let said = if oldest { answered.remove(0) } else { answered.pop().unwrap() };
                    told.extend(case.hear(&said, pause));
                }
                Step::GiveUp => {
                    sent.extend(case.command());
                    if !case.is_settled() {
                        case.miss(pause);
                    }
                }
                Step::Answer(_) => {}
            }
        }
        // Everything that is still on its way arrives, and the rest is settled.
        for command in sent {
            answered.extend(provider.obey(command));
        }
        for said in answered {
            told.extend(case.hear(&said, pause));
        }
        for _ in 0..3 {
            if let Some(said) = case.command().and_then(|command| provider.obey(command)) {
                told.extend(case.hear(&said, pause));
            }
        }
        prop_assert!(case.is_settled() && !case.owes_do && !case.owes_undo);
        prop_assert!(provider.charges <= 1);
        let state = case.payment.state;
        prop_assert_eq!(Some(state), provider.state.as_ref().map(Said::state));
        prop_assert_eq!(case.wanted == Kind::Undo, state != State::Charged && (state != State::Declined || case.wanted == Kind::Undo));
        let replies: Vec<_> = answers(&told).into_iter().filter_map(|(_, reply)| reply).collect();
        prop_assert!(replies.iter().all(|reply| Some(*reply) == case.reply), "{:?}", replies);
        let versions: Vec<_> = told.iter().filter_map(|told| match told {
            Told::Changed(payment) => Some((payment.version, payment.state.rank())),
            Told::Answered(..) => None,
        }).collect();
        prop_assert!(versions.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
    }
}
