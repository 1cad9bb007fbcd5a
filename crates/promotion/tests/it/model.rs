//! The Redis functions against a model of them: random traces of claims (with repeats, also inside a batch, and late ones),
//! returns and raises. After each step both say the same, and in the end the journal tells what the model holds.

#![expect(clippy::print_stderr, reason = "the seed of a trace is printed, so that it can be repeated")]

use std::collections::{BTreeMap, HashMap};

use bus::journal::{Entry, EntryId, Keys, Position, Tag};
use fred::interfaces::StreamsInterface as _;
use kit::redis::Redis;
use promotion::coupon::Grant;
use promotion::deal::{DealId, Discount, Off, Prize, Refusal, Terms, UserId, Wish};
use promotion::redis::{Answer, Deals, GivenBack, Outcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use trial::ground::Ground;

use crate::road::connect;
use crate::service::prepare;

/// Traces of one run.
const TRACES: u32 = 24;
/// Different users of a trace: few, so that they meet each other.
const USERS: u8 = 12;

#[derive(Debug, Clone)]
enum Step {
    /// Users claim in one batch; a late one carries a `not_after` that has passed.
    Claim { users: Vec<u8>, late: bool },
    /// A user gives the coupon of this rank back, whether or not it is his.
    Return { user: u8, rank: i64 },
    /// Somebody orders another stock, by a version that is new or old.
    Update { stock: i64, stale: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let users = prop::collection::vec(0..USERS, 0..10);
    prop_oneof![
        5 => (users, prop::bool::weighted(0.15)).prop_map(|(users, late)| Step::Claim { users, late }),
        3 => (0..USERS, 1..14_i64).prop_map(|(user, rank)| Step::Return { user, rank }),
        1 => (1..12_i64, any::<bool>()).prop_map(|(stock, stale)| Step::Update { stock, stale }),
    ]
}

/// What a deal should do.
#[derive(Default)]
struct Model {
    stock: i64,
    version: i64,
    round: i64,
    sequence: i64,
    issued: i64,
    seats: i64,
    free: Vec<i64>,
    held: HashMap<u8, Share>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Share {
    rank: i64,
    seat: i64,
    returned: bool,
}

/// An outcome without its instant.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Won(i64),
    Held(i64),
    Returned(i64),
    SoldOut,
    Late,
}

impl Model {
    fn new(stock: i64) -> Self {
        Self { stock, version: 1, round: 1, sequence: 1, ..Self::default() }
    }

    fn live(&self) -> i64 {
        self.seats - i64::try_from(self.free.len()).unwrap()
    }

    fn claim(&mut self, users: &[u8], late: bool) -> Vec<Expected> {
        let before = self.issued;
        let outcomes = users.iter().map(|user| self.claim_one(*user, late)).collect();
        self.sequence += i64::from(self.issued > before);
        outcomes
    }

    fn claim_one(&mut self, user: u8, late: bool) -> Expected {
        match self.held.get(&user) {
            Some(Share { rank, returned: false, .. }) => return Expected::Held(*rank),
            Some(Share { rank, returned: true, .. }) => return Expected::Returned(*rank),
            None if late => return Expected::Late,
            None if self.live() >= self.stock => return Expected::SoldOut,
            None => {}
        }
        let seat = self.free.pop().unwrap_or_else(|| {
            self.seats += 1;
            self.seats
        });
        self.issued += 1;
        self.held.insert(user, Share { rank: self.issued, seat, returned: false });
        Expected::Won(self.issued)
    }

    fn give_back(&mut self, user: u8, rank: i64) -> &'static str {
        match self.held.get_mut(&user) {
            Some(share) if share.rank == rank && share.returned => "yes",
            Some(share) if share.rank == rank => {
                share.returned = true;
                self.free.push(share.seat);
                self.round += 1;
                self.sequence += 1;
                "yes"
            }
            Some(_) | None if rank <= self.issued => "not owner",
            Some(_) | None => "not found",
        }
    }

    fn update(&mut self, stock: i64, version: i64) -> (i64, Option<Refusal>) {
        if version <= self.version {
            return (self.stock, None);
        }
        self.version = version;
        if stock < self.stock {
            return (self.stock, Some(Refusal::StockShrinks));
        }
        if stock > self.stock {
            self.stock = stock;
            self.round += 1;
            self.sequence += 1;
        }
        (self.stock, None)
    }
}

fn wish(stock: i64) -> Wish {
    let discount = Discount { off: Off::Percent(10), max_amount: None, min_order: None, valid_for_seconds: None };
    Wish {
        deal_id: DealId::random(),
        title: String::new(),
        terms: Terms { venue_id: "venue".to_owned(), prize: Prize::Discount(discount) },
        stock,
        opens_at: kit::clock::now() - time::Duration::MINUTE,
        closes_at: kit::clock::now() + time::Duration::HOUR,
        pass_required: false,
    }
}

fn user(number: u8) -> UserId {
    UserId::parse(&format!("u{number}")).unwrap()
}

fn number(user: &str) -> u8 {
    user.trim_start_matches('u').parse().unwrap()
}

fn found<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Found(found) => found,
        Answer::Frozen | Answer::Missing => panic!("{answer:?}"),
    }
}

/// Takes one step with both, and compares what they say.
async fn take(deals: &Deals, deal_id: &DealId, model: &mut Model, step: &Step) {
    match step {
        Step::Claim { users, late } => {
            let now = kit::clock::to_millis(kit::clock::now());
            let not_after = if *late { now - 60_000 } else { now + 60_000 };
            let ids: Vec<UserId> = users.iter().map(|number| user(*number)).collect();
            let claimed = found(deals.claim(deal_id, &ids, not_after, "").await.unwrap());
            let outcomes: Vec<Expected> = claimed.outcomes.iter().map(expected).collect();
            assert_eq!(outcomes, model.claim(users, *late));
            assert_eq!((claimed.round, claimed.sequence), (model.round, model.sequence));
        }
        Step::Return { user: who, rank } => {
            let said = match found(deals.give_back(deal_id, &user(*who), *rank, "").await.unwrap()) {
                GivenBack::Yes(_, grant) => {
                    assert_eq!(grant.rank, *rank);
                    "yes"
                }
                GivenBack::NotOwner => "not owner",
                GivenBack::NotFound => "not found",
            };
            assert_eq!(said, model.give_back(*who, *rank));
        }
        Step::Update { stock, stale } => {
            let version = if *stale { model.version } else { model.version + 1 };
            let updated = found(deals.update(deal_id, version, *stock).await.unwrap());
            assert_eq!((updated.stock, updated.refusal), model.update(*stock, version));
        }
    }
    let course = found(deals.look(deal_id).await.unwrap());
    let seen = (course.stock, course.issued, course.live, course.round, course.sequence);
    assert_eq!(seen, (model.stock, model.issued, model.live(), model.round, model.sequence));
    assert!(course.live <= course.stock);
}

fn expected(outcome: &Outcome) -> Expected {
    match outcome {
        Outcome::Won(Grant { rank, .. }) => Expected::Won(*rank),
        Outcome::Held(Grant { rank, .. }) => Expected::Held(*rank),
        Outcome::Returned(Grant { rank, .. }) => Expected::Returned(*rank),
        Outcome::SoldOut => Expected::SoldOut,
        Outcome::Late => Expected::Late,
        Outcome::NotOpen | Outcome::Closed | Outcome::Frozen | Outcome::PassRequired | Outcome::Full => {
            panic!("{outcome:?}")
        }
    }
}

/// The journal, told as events and folded to the newest of each coupon, is what the model holds.
async fn compare_journal(redis: &fred::clients::Client, keys: &Keys, deal_id: &DealId, model: &Model) {
    let tag = Tag::of(deal_id.as_str());
    let raw: Vec<(String, HashMap<String, bytes::Bytes>)> =
        redis.xrange_values(keys.journal(tag), "-", "+", None).await.unwrap();
    let mut told: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for (id, fields) in raw {
        let entry: EntryId = id.parse().unwrap();
        let entry = Entry { tag, position: Position { epoch: 1, entry }, fields };
        for event in promotion::kafka::events(&entry).unwrap() {
            if event.subject.starts_with(&format!("{deal_id}-")) {
                let newest = told.entry(event.subject.clone()).or_insert((0, String::new()));
                assert!(event.sequence > newest.0, "{} goes back to {}", event.subject, event.sequence);
                *newest = (event.sequence, event.kind.clone());
            }
        }
    }
    let held = model.held.values().map(|share| {
        let kind = if share.returned { "CouponReturned" } else { "CouponClaimed" };
        let version = if share.returned { 2 } else { 1 };
        (format!("{deal_id}-{}", share.rank), (version, format!("booster.promotion.v1.{kind}")))
    });
    assert_eq!(told, held.collect());
}

#[test]
fn the_functions_do_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (ground, deals, redis, keys) = runtime.block_on(async {
        let ground = Ground::new("model").await;
        prepare(&ground.servers()).await;
        let servers = ground.servers();
        let deals = Deals::new(Redis::connect(&servers, 1, promotion::LIBRARIES).await.unwrap(), &servers);
        let redis = connect(&servers).await;
        (ground, deals, redis, Keys::new(&servers, promotion::SERVICE))
    });
    let seed = kit::clock::to_millis(kit::clock::now()).unsigned_abs();
    eprintln!("seed {seed}");
    let config =
        Config { cases: TRACES, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let traces = (1..8_i64, prop::collection::vec(step(), 1..30));
    let run = TestRunner::new(config).run(&traces, |(stock, steps)| {
        runtime.block_on(async {
            let wish = wish(stock);
            let mut model = Model::new(stock);
            found(deals.put(&wish).await.unwrap());
            found(deals.arm(&wish.deal_id).await.unwrap());
            for step in &steps {
                take(&deals, &wish.deal_id, &mut model, step).await;
            }
            let holders = found(deals.holders(&wish.deal_id).await.unwrap());
            let shares: HashMap<u8, Share> = holders
                .iter()
                .map(|(user, held)| (number(user), Share { rank: held.rank, seat: held.seat, returned: held.returned }))
                .collect();
            assert_eq!(shares, model.held);
            compare_journal(&redis, &keys, &wish.deal_id, &model).await;
        });
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    runtime.block_on(ground.end());
}
