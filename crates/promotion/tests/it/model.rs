//! The Redis functions against a model of them: random traces of claims (with repeats, also inside a batch, and late ones),
//! returns, raises, and a clock that goes ahead and back. After each step both say the same, and in the end the journal tells
//! what the model holds.

#![expect(clippy::print_stderr, reason = "the seed of a trace is printed, so that it can be repeated")]

mod deal;

use std::collections::{BTreeMap, HashMap};

use bus::journal::{Entry, EntryId, Position, Tag};
use fred::interfaces::StreamsInterface as _;
use promotion::coupon::Grant;
use promotion::deal::{DealId, UserId, Wish};
use promotion::redis::{GivenBack, Held, Outcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::shelf::{Shelf, found, wish};
use deal::{Model, Share, Told};

/// Traces of one run, and of one at full size.
const TRACES: (u32, u32) = (32, 1_000);
/// Different users of a trace: few, so that they meet each other.
const USERS: u8 = 12;
/// How far before and after the time of Redis the `not_after` of a batch lies, in milliseconds.
const NOT_AFTER_MS: i64 = 60_000;
/// How far the clock goes ahead: a moment, over the opening, over the end, in milliseconds.
const AHEAD_MS: [i64; 3] = [1_000, 15 * 60_000, 2 * 3_600_000];

#[derive(Debug, Clone)]
enum Step {
    /// Users claim in one batch; a late one carries a `not_after` that has passed.
    Claim { users: Vec<u8>, late: bool },
    /// A user gives the coupon of this rank back, whether or not it is his.
    Return { user: u8, rank: i64 },
    /// Somebody orders another stock, by a version that is new or old.
    Update { stock: i64, stale: bool },
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
        2 => (1..12_i64, any::<bool>()).prop_map(|(stock, stale)| Step::Update { stock, stale }),
        2 => prop::sample::select(&AHEAD_MS[..]).prop_map(|ms| Step::Ahead { ms }),
        1 => Just(Step::Forget),
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
        let model = Model::new(wish.stock, millis(wish.opens_at), millis(wish.closes_at));
        Self { shelf, deal_id: wish.deal_id.clone(), model, last_ms: 0 }
    }

    /// Takes one step with both, and compares what they say and where they stand.
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Claim { users, late } => self.claim(users, *late).await,
            Step::Return { user, rank } => self.give_back(*user, *rank).await,
            Step::Update { stock, stale } => self.update(*stock, *stale).await,
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
        let said = match found(self.shelf.deals.give_back(&self.deal_id, &user(who), rank, "").await.unwrap()) {
            GivenBack::Yes(_, grant) => {
                assert_eq!((grant.rank, grant.claimed_ms), (rank, self.model.held[&who].claimed_ms));
                "yes"
            }
            GivenBack::NotOwner => "not owner",
            GivenBack::NotFound => "not found",
        };
        assert_eq!(said, self.model.give_back(who, rank));
    }

    async fn update(&mut self, stock: i64, stale: bool) {
        let version = if stale { self.model.version } else { self.model.version + 1 };
        let updated = found(self.shelf.deals.update(&self.deal_id, version, stock).await.unwrap());
        assert_eq!((updated.stock, updated.refusal), self.model.update(stock, version, self.now_ms()));
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
        let shares = holders.into_iter().map(|(user, Held { rank, seat, claimed_ms, returned })| {
            (user.trim_start_matches('u').parse().unwrap(), Share { rank, seat, claimed_ms, returned })
        });
        assert_eq!(shares.collect::<HashMap<u8, Share>>(), self.model.held);
        let held = self.model.held.values().map(|share| {
            let (version, kind) = if share.returned { (2, "CouponReturned") } else { (1, "CouponClaimed") };
            (format!("{}-{}", self.deal_id, share.rank), (version, format!("booster.promotion.v1.{kind}")))
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
    let traces = (1..8_i64, opens, prop::collection::vec(step(), 1..30));
    let run = TestRunner::new(config).run(&traces, |(stock, opens, steps)| {
        runtime.block_on(async {
            let wish = Wish { opens_at: kit::clock::now() + opens, ..wish(stock) };
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
