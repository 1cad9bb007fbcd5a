//! The Redis functions against a model of them: random traces of claims (with repeats, also inside a batch, and late ones),
//! returns, orders that redeem and restore, changes of the deal, its end, and a clock that goes ahead and back. After each step both say the same, and in the end the journal tells
//! what the model holds.

#![expect(clippy::print_stderr, reason = "the seed of a trace is printed, so that it can be repeated")]

mod deal;

use std::collections::{BTreeMap, HashMap};

use bus::journal::{Entry, EntryId, Position, Tag};
use fred::interfaces::StreamsInterface as _;
use promotion::coupon::{Grant, State};
use promotion::deal::{DealId, OrderId, Patch, Prize, UserId, Wish};
use promotion::redis::{Held, Kept, Outcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::shelf::{Shelf, found, wish};
use deal::{Model, Share, Told};

/// Traces of one run, and of one at full size.
const TRACES: (u32, u32) = (32, 1_000);
/// Different users of a trace: few, so that they meet each other.
const USERS: u8 = 12;
/// Different orders of a trace.
const ORDERS: u8 = 4;
/// Where an opening or an end may be moved to, from now, in milliseconds.
const SHIFTS_MS: [i64; 3] = [-60_000, 20 * 60_000, 3 * 3_600_000];
/// How far before and after the time of Redis the `not_after` of a batch lies, in milliseconds.
const NOT_AFTER_MS: i64 = 60_000;
/// What a call may take, in milliseconds.
const MOMENT_MS: i64 = 5_000;
/// How far the clock goes ahead: a moment, over the opening, over the end, in milliseconds.
const AHEAD_MS: [i64; 3] = [1_000, 15 * 60_000, 2 * 3_600_000];

#[derive(Debug, Clone)]
enum Step {
    /// Users claim in one batch; a late one carries a `not_after` that has passed.
    Claim { users: Vec<u8>, late: bool },
    /// A user gives the coupon of this rank back, whether or not it is his.
    Return { user: u8, rank: i64 },
    /// An order redeems the coupon of this rank for a user, whether or not it is his.
    Redeem { user: u8, rank: i64, order: u8 },
    /// An order restores the coupon of this rank, whether or not it has redeemed it.
    Restore { rank: i64, order: u8 },
    /// Somebody orders another stock or other times, or the end, by a version that is newer by so much.
    Update { patch: Patch, newer: i64 },
    /// Redis has seen a later time than its clock shows from now on: the clock has gone back.
    Ahead { ms: i64 },
    /// Redis has forgotten how late it was. What was recorded stays so.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let users = prop::collection::vec(0..USERS, 0..10);
    prop_oneof![
        12 => (users, prop::bool::weighted(0.15)).prop_map(|(users, late)| Step::Claim { users, late }),
        6 => (0..USERS, 1..14_i64).prop_map(|(user, rank)| Step::Return { user, rank }),
        6 => (0..USERS, 1..14_i64, 0..ORDERS).prop_map(|(user, rank, order)| Step::Redeem { user, rank, order }),
        5 => (1..14_i64, 0..ORDERS).prop_map(|(rank, order)| Step::Restore { rank, order }),
        3 => (patch(), -1..2_i64).prop_map(|(patch, newer)| Step::Update { patch, newer }),
        2 => prop::sample::select(&AHEAD_MS[..]).prop_map(|ms| Step::Ahead { ms }),
        1 => Just(Step::Forget),
    ]
}

/// Mostly another stock; now and then other times, or the end.
fn patch() -> impl Strategy<Value = Patch> {
    let now_ms = kit::clock::to_millis(kit::clock::now());
    let times = prop::sample::select(&SHIFTS_MS[..]);
    let shifted = move |shift_ms| now_ms + shift_ms;
    prop_oneof![
        6 => (1..12_i64).prop_map(|stock| Patch { stock: Some(stock), ..Patch::default() }),
        2 => times.clone().prop_map(move |ms| Patch { opens_ms: Some(shifted(ms)), ..Patch::default() }),
        2 => times.prop_map(move |ms| Patch { closes_ms: Some(shifted(ms)), ..Patch::default() }),
        1 => Just(Patch { close: true, ..Patch::default() }),
    ]
}

/// One deal, as it is and as it should be.
struct Trace<'a> {
    shelf: &'a Shelf,
    deal_id: DealId,
    model: Model,
    /// The latest time that Redis was seen to remember.
    last_ms: i64,
}

impl<'a> Trace<'a> {
    async fn begin(shelf: &'a Shelf, wish: &Wish) -> Self {
        // Another trace may have left the clock of this tag ahead.
        shelf.remember_ms(&wish.deal_id, 0).await;
        shelf.put(wish).await;
        let millis = kit::clock::to_millis;
        let valid_ms = wish.terms.prize.valid_for_seconds().map(|seconds| seconds * 1_000);
        let model = Model::new(wish.stock, (millis(wish.opens_at), millis(wish.closes_at)), valid_ms);
        Self { shelf, deal_id: wish.deal_id.clone(), model, last_ms: 0 }
    }

    /// Takes one step with both, and compares what they say and where they stand.
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Claim { users, late } => self.claim(users, *late).await,
            Step::Return { user, rank } => self.give_back(*user, *rank).await,
            Step::Redeem { user, rank, order } => self.redeem(*user, *rank, *order).await,
            Step::Restore { rank, order } => self.restore(*rank, *order).await,
            Step::Update { patch, newer } => self.update(patch, *newer).await,
            Step::Ahead { ms } => {
                self.last_ms = self.now_ms() + ms;
                self.shelf.remember_ms(&self.deal_id, self.last_ms).await;
            }
            Step::Forget => {
                self.last_ms = 0;
                self.shelf.remember_ms(&self.deal_id, 0).await;
            }
        }
        self.compare().await;
    }

    async fn claim(&mut self, users: &[u8], late: bool) {
        let not_after_ms = self.now_ms() + if late { -NOT_AFTER_MS } else { NOT_AFTER_MS };
        let ids: Vec<UserId> = users.iter().map(|number| user(*number)).collect();
        let claimed = found(self.shelf.deals.claim(&self.deal_id, &ids, not_after_ms, "").await.unwrap());
        assert!(claimed.now_ms >= self.last_ms, "time has gone back to {} from {}", claimed.now_ms, self.last_ms);
        let (issued, closed) = (self.model.issued, self.model.closed);
        let told: Vec<Told> = claimed.outcomes.iter().map(told).collect();
        assert_eq!(told, self.model.claim(users, claimed.now_ms, not_after_ms));
        assert_eq!((claimed.round, claimed.sequence), (self.model.round, self.model.sequence));
        if self.model.issued > issued || self.model.closed != closed {
            // What was told with a time must not be followed by an earlier one.
            self.last_ms = claimed.now_ms;
        }
    }

    async fn give_back(&mut self, who: u8, rank: i64) {
        let given_back = self.shelf.deals.give_back((&self.deal_id, rank), &user(who), "").await.unwrap();
        let said = found(given_back).map(|holding| {
            assert_eq!((holding.state, holding.order_id), (State::Returned, None));
            (holding.grant.rank, holding.grant.claimed_ms)
        });
        let should = self.model.give_back(who, rank, self.now_ms());
        assert_eq!(said, should.map(|()| (rank, self.model.held[&who].claimed_ms)));
    }

    async fn redeem(&mut self, who: u8, rank: i64, number: u8) {
        let redeemed = self.shelf.deals.redeem((&self.deal_id, rank), &user(who), &order(number), "").await.unwrap();
        let said = found(redeemed).map(|holding| {
            assert_eq!((holding.state, holding.order_id.as_deref()), (State::Redeemed, Some(order(number).as_str())));
            (holding.grant.rank, holding.grant.claimed_ms)
        });
        let should = self.model.redeem(who, rank, number, self.now_ms());
        assert_eq!(said, should.map(|()| (rank, self.model.held[&who].claimed_ms)));
    }

    async fn restore(&mut self, rank: i64, number: u8) {
        let restored = self.shelf.deals.restore((&self.deal_id, rank), &order(number), "").await.unwrap();
        assert_eq!(found(restored).map(drop), self.model.restore(rank, number));
    }

    async fn update(&mut self, patch: &Patch, newer: i64) {
        let version = self.model.version + newer;
        let updated = found(self.shelf.deals.update(&self.deal_id, version, patch, None).await.unwrap());
        let should = self.model.update(patch, version, self.now_ms());
        assert_eq!(updated.decision, should);
        if patch.close {
            // The instant of the end is the one that Redis saw, to within the moment that a call takes.
            assert!((updated.closes_ms - self.model.closes_ms).abs() < MOMENT_MS);
            self.model.closes_ms = updated.closes_ms;
        }
        let in_force = (updated.stock, updated.opens_ms, updated.closes_ms);
        assert_eq!(in_force, (self.model.stock, self.model.opens_ms, self.model.closes_ms));
    }

    async fn compare(&mut self) {
        let (deals, model) = (&self.shelf.deals, &self.model);
        let course = found(deals.look(&self.deal_id).await.unwrap());
        let seen = (course.stock, course.issued, course.live, course.round, course.sequence, course.closed);
        assert_eq!(seen, (model.stock, model.issued, model.live(), model.round, model.sequence, model.closed));
        assert!(course.live <= course.stock && course.now_ms >= self.last_ms);
        let tag = Tag::of(self.deal_id.as_str());
        let rounds = found(deals.rounds(tag, std::slice::from_ref(&self.deal_id)).await.unwrap());
        assert_eq!(rounds.rounds, [(model.round, model.sequence)]);
        let remembered_ms = self.shelf.remembered_ms(&self.deal_id).await;
        assert!(remembered_ms >= self.last_ms, "{remembered_ms} is remembered, and {} was told", self.last_ms);
        self.last_ms = remembered_ms;
    }

    /// The time that Redis must give out now, to within the moment that a call takes.
    fn now_ms(&self) -> i64 {
        self.last_ms.max(kit::clock::to_millis(kit::clock::now()))
    }

    /// Holders, and the journal, told as events and folded to the newest of each coupon, are what the model holds.
    async fn end(self) {
        let holders = found(self.shelf.deals.holders(&self.deal_id).await.unwrap());
        let shares = holders.into_iter().map(|(user, Kept { held, version, order_id })| {
            let Held { rank, seat, claimed_ms, returned } = held;
            let order = order_id.map(|order_id| order_id.trim_start_matches('o').parse().unwrap());
            let share = Share { rank, seat, claimed_ms, returned, version, order };
            (user.trim_start_matches('u').parse().unwrap(), share)
        });
        assert_eq!(shares.collect::<HashMap<u8, Share>>(), self.model.held);
        let held = self.model.held.values().map(|share| {
            let kind = match share {
                Share { returned: true, .. } => "CouponReturned",
                Share { order: Some(_), .. } => "CouponRedeemed",
                Share { version: 1, .. } => "CouponClaimed",
                Share { .. } => "CouponRestored",
            };
            (format!("{}-{}", self.deal_id, share.rank), (share.version, format!("booster.promotion.v1.{kind}")))
        });
        assert_eq!(self.journalled().await, held.collect());
    }

    async fn journalled(&self) -> BTreeMap<String, (i64, String)> {
        let raw: Vec<(String, HashMap<String, bytes::Bytes>)> =
            self.shelf.redis.xrange_values(self.shelf.journal(&self.deal_id), "-", "+", None).await.unwrap();
        let mut newest: BTreeMap<String, (i64, String)> = BTreeMap::new();
        for (id, fields) in raw {
            let entry: EntryId = id.parse().unwrap();
            let entry = Entry { tag: Tag::of(self.deal_id.as_str()), position: Position { epoch: 1, entry }, fields };
            for event in promotion::kafka::events(&entry).unwrap() {
                if event.subject.starts_with(&format!("{}-", self.deal_id)) {
                    let known = newest.entry(event.subject.clone()).or_insert((0, String::new()));
                    assert!(event.sequence > known.0, "{} goes back to {}", event.subject, event.sequence);
                    *known = (event.sequence, event.kind.clone());
                }
            }
        }
        newest
    }
}

fn user(number: u8) -> UserId {
    UserId::parse(&format!("u{number}")).unwrap()
}

fn order(number: u8) -> OrderId {
    OrderId::parse(&format!("o{number}")).unwrap()
}

fn told(outcome: &Outcome) -> Told {
    match *outcome {
        Outcome::Won(Grant { rank, claimed_ms }) => Told::Won(rank, claimed_ms),
        Outcome::Held(Grant { rank, claimed_ms }) => Told::Held(rank, claimed_ms),
        Outcome::Returned(Grant { rank, claimed_ms }) => Told::Returned(rank, claimed_ms),
        Outcome::SoldOut => Told::SoldOut,
        Outcome::Late => Told::Late,
        Outcome::NotOpen => Told::NotOpen,
        Outcome::Closed => Told::Closed,
        Outcome::Frozen | Outcome::PassRequired | Outcome::Full => panic!("{outcome:?}"),
    }
}

#[test]
fn the_functions_do_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let shelf = runtime.block_on(Shelf::new("model"));
    let seed = kit::clock::to_millis(kit::clock::now()).unsigned_abs();
    eprintln!("seed {seed}");
    let cases = if std::env::var("BOOSTER_TEST_FULL").is_ok() { TRACES.1 } else { TRACES.0 };
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    // Some deals are open already, others open in ten minutes.
    let opens = prop::sample::select(vec![-time::Duration::MINUTE, 10 * time::Duration::MINUTE]);
    // Some coupons are valid for ever, others for half an hour.
    let valid = prop::sample::select(vec![None, Some(30 * 60)]);
    let traces = (1..8_i64, opens, valid, prop::collection::vec(step(), 1..40));
    let run = TestRunner::new(config).run(&traces, |(stock, opens, valid, steps)| {
        runtime.block_on(async {
            let mut wish = Wish { opens_at: kit::clock::now() + opens, ..wish(stock) };
            let Prize::Discount(discount) = &mut wish.terms.prize;
            discount.valid_for_seconds = valid;
            let mut trace = Trace::begin(&shelf, &wish).await;
            for step in &steps {
                trace.take(step).await;
            }
            trace.end().await;
        });
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    runtime.block_on(shelf.ground.end());
}
