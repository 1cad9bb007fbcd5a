//! The saga among participants that repeat, lose, delay and reorder what is said.

use std::collections::{HashMap, HashSet};

use kit::money::Money;
use proptest::prelude::*;

use super::*;
use crate::discount::Off;
use crate::order::{CouponId, HoldId, OrderId, UserId};

const PATIENCE: Patience = Patience { deadline: Duration::from_secs(120), again: Duration::from_secs(30) };

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + time::Duration::seconds(seconds)
}

fn order(coupon: bool, hold: bool, points: i64) -> Order {
    Order {
        order_id: OrderId::parse("o").unwrap(),
        user_id: UserId::parse("ann").unwrap(),
        lines: Vec::new(),
        coupon_id: coupon.then(|| CouponId::parse("lunch-1").unwrap()),
        hold_id: hold.then(|| HoldId::parse("table").unwrap()),
        points,
        subtotal: Money { currency: "KRW".to_owned(), minor_units: 1_000 },
        discount: 0,
        payment_method: "sandbox".to_owned(),
        state: State::Pending,
        reason: None,
        saga: Saga::default(),
        version: 0,
        created_at: at(0),
        paid_at: None,
        due_at: None,
    }
}

fn offer(percent: i32) -> Option<Offer> {
    Some(Offer { off: Off::Percent(percent), max_amount: None, min_order: None })
}

fn run(order: Order, events: impl IntoIterator<Item = Event>) -> (Order, Vec<Say>) {
    let step = |(order, _), event| next(order, event, at(1), PATIENCE);
    events.into_iter().fold((order, Vec::new()), step)
}

fn refused(step: Step) -> Event {
    Event::Refused(step, "NO".to_owned())
}

#[test]
fn all_steps_are_asked_for_one_after_the_other() {
    let (order, says) = run(order(true, true, 300), [Event::Placed]);
    assert_eq!(says, [Say::Placed, Say::Ask(Step::Coupon, Kind::Do, 1)]);
    let (order, says) = run(order, [Event::Done(Step::Coupon, offer(10))]);
    assert_eq!((order.discount, order.points, order.charge()), (100, 300, 600));
    assert_eq!(says, [Say::Ask(Step::Hold, Kind::Do, 1)]);
    let (order, says) = run(order, [Event::Done(Step::Hold, None)]);
    assert_eq!(says, [Say::Ask(Step::Points, Kind::Do, 1)]);
    let (order, says) = run(order, [Event::Done(Step::Points, None)]);
    assert_eq!(says, [Say::Ask(Step::Payment, Kind::Do, 1)]);
    let (order, says) = run(order, [Event::Done(Step::Payment, None)]);
    assert_eq!((order.state, order.version, order.due_at, says), (State::Paid, 5, None, vec![Say::Paid]));
}

#[test]
fn what_is_not_needed_is_not_asked_for() {
    let (paid, _) = run(order(false, false, 0), [Event::Placed, Event::Done(Step::Payment, None)]);
    assert_eq!(paid.state, State::Paid);
    let (paid, says) = run(order(false, false, 5_000), [Event::Placed, Event::Done(Step::Points, None)]);
    assert_eq!((paid.state, paid.points, paid.charge(), says), (State::Paid, 1_000, 0, vec![Say::Paid]));
    let (paid, says) = run(order(true, false, 10), [Event::Placed, Event::Done(Step::Coupon, offer(100))]);
    assert_eq!((paid.state, paid.points, says), (State::Paid, 0, vec![Say::Paid]));
}

#[test]
fn a_refusal_undoes_what_was_done_in_reverse() {
    let done = [Event::Placed, Event::Done(Step::Coupon, offer(10)), Event::Done(Step::Points, None)];
    let (order, says) = run(order(true, false, 300), done.into_iter().chain([refused(Step::Payment)]));
    assert_eq!((order.state, order.reason), (State::Cancelling, Some(Reason::PaymentDeclined)));
    assert_eq!(says, [Say::Ask(Step::Points, Kind::Undo, 1)]);
    let (order, says) = run(order, [Event::Undone(Step::Points)]);
    assert_eq!(says, [Say::Ask(Step::Coupon, Kind::Undo, 1)]);
    let (order, says) = run(order, [Event::Undone(Step::Coupon)]);
    assert_eq!((order.state, says), (State::Failed, vec![Say::Failed]));
    assert_eq!(order.saga.status(Step::Stock, Kind::Undo), Some(Status::Done));
}

#[test]
fn an_offer_that_is_not_for_this_order_undoes_it() {
    let small =
        Offer { min_order: Some(Money { currency: "KRW".to_owned(), minor_units: 2_000 }), ..offer(10).unwrap() };
    let (order, says) = run(order(true, false, 0), [Event::Placed, Event::Done(Step::Coupon, Some(small))]);
    assert_eq!((order.reason, says), (Some(Reason::CouponUnusable), vec![Say::Ask(Step::Coupon, Kind::Undo, 1)]));
}

#[test]
fn a_cancelled_order_undoes_what_may_have_been_done() {
    let (order, says) = run(order(false, false, 300), [Event::Placed, Event::Done(Step::Points, None), Event::Cancel]);
    assert_eq!(says, [Say::Ask(Step::Payment, Kind::Undo, 1)]);
    // The charge came through before its undo: that is its undo's to settle.
    let (order, says) = run(order, [Event::Done(Step::Payment, None)]);
    assert_eq!((order.state, says), (State::Cancelling, Vec::new()));
    let (order, says) = run(order, [Event::Undone(Step::Payment), Event::Undone(Step::Points)]);
    assert_eq!(
        (order.state, order.reason, says),
        (State::Cancelled, Some(Reason::CancelledByUser), vec![Say::Cancelled])
    );
}

#[test]
fn a_late_charge_of_a_dead_order_is_undone_once_more() {
    let (order, _) = run(order(false, false, 0), [Event::Placed, Event::Cancel, Event::Undone(Step::Payment)]);
    assert_eq!(order.state, State::Cancelled);
    let (order, says) = run(order, [Event::Done(Step::Payment, None)]);
    assert_eq!((order.state, says), (State::Cancelled, vec![Say::Ask(Step::Payment, Kind::Undo, 2)]));
    assert!(order.due_at.is_some());
    let (order, says) = run(order, [Event::Done(Step::Payment, None), Event::Undone(Step::Payment)]);
    assert_eq!((order.due_at, says), (None, Vec::new()));
}

#[test]
fn a_paid_order_only_moves_on_and_its_cancellation_is_a_second_saga() {
    let (paid, _) = run(order(false, false, 0), [Event::Placed, Event::Done(Step::Payment, None)]);
    let (same, says) = run(paid.clone(), [Event::Advance(State::Delivered)]);
    assert_eq!((&same, says), (&paid, Vec::new()));
    let (preparing, says) = run(paid, [Event::Advance(State::Preparing)]);
    assert_eq!((preparing.state, says), (State::Preparing, vec![Say::Advanced]));
    let (cancelling, says) = run(preparing.clone(), [Event::Cancel]);
    assert_eq!(says, [Say::Ask(Step::Payment, Kind::Undo, 1)]);
    assert!(run(cancelling, [Event::Undone(Step::Payment)]).0.paid_at.is_some());
    let (shipping, _) = run(preparing, [Event::Advance(State::Shipping), Event::Cancel]);
    assert_eq!(shipping.state, State::Shipping);
}

#[test]
fn a_silent_participant_is_asked_again_and_then_given_up() {
    let (order, _) = next(order(false, false, 0), Event::Placed, at(0), PATIENCE);
    assert_eq!(order.due_at, Some(at(30)));
    let (order, says) = next(order, Event::Due, at(30), PATIENCE);
    assert_eq!((order.due_at, says), (Some(at(90)), vec![Say::Ask(Step::Payment, Kind::Do, 2)]));
    let (order, _) = next(order, Event::Due, at(90), PATIENCE);
    assert_eq!(order.due_at, Some(at(120)));
    let (order, says) = next(order, Event::Due, at(120), PATIENCE);
    assert_eq!(order.reason, Some(Reason::PaymentUnsettled));
    assert_eq!(says, [Say::Ask(Step::Payment, Kind::Undo, 1)]);
    // An undo is never given up.
    let mut order = order;
    for attempt in 2..40 {
        let due = order.due_at.unwrap();
        let (later, says) = next(order, Event::Due, due, PATIENCE);
        assert_eq!(says, [Say::Ask(Step::Payment, Kind::Undo, attempt)]);
        order = later;
    }
}

#[test]
fn every_pair_of_states_is_decided_by_the_table() {
    for from in State::ALL {
        for to in State::ALL {
            let mut order = order(false, false, 0);
            order.state = from;
            let (after, _) = next(order, Event::Advance(to), at(0), PATIENCE);
            let moves = to.is_sale() && from.is_sale() && from.next().contains(&to);
            assert_eq!(after.state, if moves { to } else { from }, "{from:?} {to:?}");
        }
    }
}

/// Participants as they have to be: a step takes effect once, is answered each time, and an undo leaves a mark.
#[derive(Default)]
struct Participants {
    effects: HashSet<Step>,
    marks: HashSet<Step>,
    answers: HashMap<(Step, Kind), Event>,
}

impl Participants {
    fn ask(&mut self, step: Step, kind: Kind, refuses: &HashSet<Step>) -> Event {
        if let Some(answer) = self.answers.get(&(step, kind)) {
            return answer.clone();
        }
        let answer = match kind {
            Kind::Undo => {
                self.marks.insert(step);
                self.effects.remove(&step);
                Event::Undone(step)
            }
            Kind::Do if self.marks.contains(&step) || refuses.contains(&step) => refused(step),
            Kind::Do => {
                self.effects.insert(step);
                Event::Done(step, offer(10).filter(|_| step == Step::Coupon))
            }
        };
        self.answers.insert((step, kind), answer.clone());
        answer
    }
}

/// What is on its way: a request to a participant, or an answer.
#[derive(Clone)]
enum Letter {
    Request(Step, Kind),
    Answer(Event),
}

/// One play: letters are delivered, repeated and lost as `dice` say; then the rest is delivered, and whoever is silent is asked again.
fn play(
    needs: (bool, bool, i64),
    refuses: &HashSet<Step>,
    cancel: Option<usize>,
    dice: &[(u8, u8)],
) -> (Order, Participants) {
    let (mut participants, mut letters, mut now) = (Participants::default(), Vec::new(), 0);
    let (mut order, says) = next(order(needs.0, needs.1, needs.2), Event::Placed, at(0), PATIENCE);
    post(&mut letters, &says);
    let mut turn = 0;
    while turn < dice.len() || !letters.is_empty() || order.due_at.is_some() {
        assert!(turn < dice.len() + 1_000, "{order:?} does not end");
        let (which, fate) = dice.get(turn).copied().unwrap_or((0, 2));
        if cancel == Some(turn) {
            let (after, says) = next(order, Event::Cancel, at(now), PATIENCE);
            order = after;
            post(&mut letters, &says);
        }
        turn += 1;
        let event = if letters.is_empty() {
            let Some(due) = order.due_at else { continue };
            now = now.max((due - at(0)).whole_seconds());
            Event::Due
        } else {
            let index = usize::from(which) % letters.len();
            // Lost, repeated, or delivered.
            let letter = if fate == 1 { letters[index].clone() } else { letters.remove(index) };
            match letter {
                _ if fate == 0 => continue,
                Letter::Request(step, kind) => {
                    letters.push(Letter::Answer(participants.ask(step, kind, refuses)));
                    continue;
                }
                Letter::Answer(event) => event,
            }
        };
        let (before, (after, says)) = (order.clone(), next(order, event, at(now), PATIENCE));
        assert!(after.state == before.state || before.state.next().contains(&after.state), "{before:?} {after:?}");
        assert_eq!(after.version > before.version, after != before);
        order = after;
        post(&mut letters, &says);
    }
    (order, participants)
}

fn post(letters: &mut Vec<Letter>, says: &[Say]) {
    let asks = says.iter().filter_map(|say| match say {
        Say::Ask(step, kind, _) => Some(Letter::Request(*step, *kind)),
        Say::Placed | Say::Paid | Say::Advanced | Say::Cancelled | Say::Failed => None,
    });
    letters.extend(asks);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_lost_repeated_or_late_each_order_ends_whole_or_undone(
        coupon: bool,
        hold: bool,
        points in prop_oneof![Just(0_i64), 1..2_000_i64],
        refuses in prop::collection::hash_set(
            prop_oneof![Just(Step::Coupon), Just(Step::Hold), Just(Step::Points), Just(Step::Payment)], 0..2),
        cancel in prop::option::of(0..40_usize),
        dice in prop::collection::vec((any::<u8>(), 0..6_u8), 0..60),
    ) {
        let (order, participants) = play((coupon, hold, points), &refuses, cancel, &dice);
        prop_assert!(!order.state.is_unfinished(), "{order:?}");
        if order.is_sale() {
            let needed: HashSet<Step> = ACTIONS.iter().filter(|action| (action.is_needed)(&order)).map(|a| a.step).collect();
            prop_assert_eq!(participants.effects, needed);
        } else {
            prop_assert!(participants.effects.is_empty(), "{order:?} left {:?}", participants.effects);
            prop_assert!(order.saga.status(Step::Stock, Kind::Undo).is_some());
        }
    }
}
