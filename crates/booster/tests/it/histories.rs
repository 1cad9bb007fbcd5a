//! Whole histories of deals, through two processes, against the documented rules: deals are created, claimed from, changed and
//! closed; coupons are used, restored, given back, and expire; deals are archived. Any order, and anything twice.

mod model;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use tonic::{Response, Status};
use trial::ground::Ground;

use crate::booster::{is_full, promotions, told};
use crate::crowd::{Client, claiming, creating, doors, reason};
use model::{Model, Said};

/// Histories of one run, and of one at full size.
const HISTORIES: (u32, u32) = (12, 200);
/// Different users and orders of a history: few, so that they meet each other.
const USERS: u8 = 5;
const ORDERS: u8 = 3;
/// How long a coupon is valid, where it is not for ever; and how long a history waits for that.
const VALID: i64 = 1;
const EXPIRY: Duration = Duration::from_millis(1_050);
/// How long one of two processes may still believe what the other has changed, and how much later that may be seen.
const BELIEVED: Duration = Duration::from_millis(2_000);
/// How long a deal that is over may take to leave Redis.
const LEAVES: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Step {
    Claim { user: u8 },
    Return { user: u8, rank: i64 },
    Redeem { user: u8, rank: i64, order: u8 },
    Restore { rank: i64, order: u8 },
    Raise { stock: i64 },
    Close,
    Expire,
    Archive,
}

/// A step, the process that it goes to, and whether it is sent twice: the second time to the other one.
type Sent = (Step, usize, bool);

fn step() -> impl Strategy<Value = Sent> {
    let rank = 1..8_i64;
    let step = prop_oneof![
        10 => (0..USERS).prop_map(|user| Step::Claim { user }),
        4 => (0..USERS, rank.clone()).prop_map(|(user, rank)| Step::Return { user, rank }),
        6 => (0..USERS, rank.clone(), 0..ORDERS).prop_map(|(user, rank, order)| Step::Redeem { user, rank, order }),
        5 => (rank, 0..ORDERS).prop_map(|(rank, order)| Step::Restore { rank, order }),
        2 => (1..7_i64).prop_map(|stock| Step::Raise { stock }),
        1 => Just(Step::Close),
        1 => Just(Step::Expire),
        1 => Just(Step::Archive),
    ];
    (step, 0..2_usize, prop::bool::weighted(0.3))
}

/// One deal, as it is and as it should be.
struct History<'a> {
    ground: &'a Ground,
    doors: &'a [Client],
    deal_id: String,
    model: Model,
}

impl<'a> History<'a> {
    async fn begin(ground: &'a Ground, doors: &'a [Client], stock: i64, expires: bool) -> Self {
        let deal_id = format!("history-{}", kit::id::fresh());
        let mut asked = pb::CreateDealRequest { request_id: deal_id.clone(), ..creating(&deal_id, stock) };
        let prize = asked.deal.as_mut().unwrap().prize.as_mut().unwrap();
        if let Some(pb::prize::Kind::Discount(discount)) = &mut prize.kind {
            discount.valid_for = expires.then_some(prost_types::Duration { seconds: VALID, nanos: 0 });
        }
        for door in doors {
            door.clone().create_deal(asked.clone()).await.unwrap();
        }
        Self { ground, doors, deal_id, model: Model::new(stock) }
    }

    async fn take(&mut self, (step, door, twice): Sent) {
        match step {
            Step::Expire => return tokio::time::sleep(EXPIRY).await,
            Step::Archive => return self.archive().await,
            Step::Claim { .. }
            | Step::Return { .. }
            | Step::Redeem { .. }
            | Step::Restore { .. }
            | Step::Raise { .. }
            | Step::Close => {}
        }
        for number in 0..=usize::from(twice) {
            let door = &self.doors[(door + number) % self.doors.len()];
            let since = Instant::now();
            loop {
                // The model changes when it is asked, so it is asked as it was before; and as it is afterwards, where something
                // has expired meanwhile.
                let before = self.model.at(now_ms());
                let (said, expires_ms) = self.send(step, door.clone()).await;
                let after = self.model.at(now_ms());
                let right = [before, after].into_iter().find_map(|mut model| {
                    let should = self.expect(&mut model, step);
                    model.agrees(&said, &should).then_some(model)
                });
                if let Some(model) = right {
                    self.model = model;
                    self.model.expires(&said, expires_ms);
                    break;
                }
                // A claim may be answered from memory, and what another process has changed is not known there at once.
                let may_be_old = matches!(step, Step::Claim { .. }) && since.elapsed() < BELIEVED;
                assert!(may_be_old, "{step:?} said {said:?}: {:?}", self.model.at(now_ms()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What it was answered, and when the coupon expires, in milliseconds.
    async fn send(&self, step: Step, mut door: Client) -> (Said, Option<i64>) {
        let coupon_id = |rank: i64| format!("{}-{rank}", self.deal_id);
        let (user, order) = (|user: u8| format!("u{user}"), |order: u8| format!("o{order}"));
        match step {
            Step::Claim { user: who } => {
                let claimed = door.claim_coupon(claiming(&self.deal_id, &user(who))).await;
                said(claimed, |claimed| claimed.coupon.unwrap())
            }
            Step::Return { user: who, rank } => {
                let asked = pb::ReturnCouponRequest { coupon_id: coupon_id(rank), user_id: user(who) };
                said(door.return_coupon(asked).await, |coupon| coupon)
            }
            Step::Redeem { user: who, rank, order: number } => {
                let (coupon_id, user_id, order_id) = (coupon_id(rank), user(who), order(number));
                said(door.redeem_coupon(pb::RedeemCouponRequest { coupon_id, user_id, order_id }).await, |coupon| {
                    coupon
                })
            }
            Step::Restore { rank, order: number } => {
                let asked = pb::RestoreCouponRequest { coupon_id: coupon_id(rank), order_id: order(number) };
                said(door.restore_coupon(asked).await, |coupon| coupon)
            }
            Step::Raise { stock } => {
                let deal = pb::Deal { deal_id: self.deal_id.clone(), stock, ..pb::Deal::default() };
                let update_mask = Some(prost_types::FieldMask { paths: vec!["stock".to_owned()] });
                deal_said(door.update_deal(pb::UpdateDealRequest { deal: Some(deal), update_mask }).await)
            }
            Step::Close => deal_said(door.close_deal(pb::CloseDealRequest { deal_id: self.deal_id.clone() }).await),
            Step::Expire | Step::Archive => panic!("{step:?} is not sent"),
        }
    }

    fn expect(&self, model: &mut Model, step: Step) -> Said {
        match step {
            Step::Claim { user } => model.claim(user),
            Step::Return { user, rank } => model.give_back(user, rank),
            Step::Redeem { user, rank, order } => model.redeem(user, rank, order),
            Step::Restore { rank, order } => model.restore(rank, order),
            Step::Raise { stock } => model.raise(stock),
            Step::Close => model.close(),
            Step::Expire | Step::Archive => panic!("{step:?} is not sent"),
        }
    }

    /// Where the deal is over, it leaves Redis by itself.
    async fn archive(&mut self) {
        if !self.model.at(now_ms()).is_over() {
            return;
        }
        let mut admin = sqlx::PgConnection::connect(self.ground.admin_url().expose()).await.unwrap();
        let deadline = Instant::now() + LEAVES;
        let archived = "SELECT archived_at IS NOT NULL FROM promotion.deal WHERE deal_id = $1";
        while !sqlx::query_scalar::<_, bool>(archived).bind(&self.deal_id).fetch_one(&mut admin).await.unwrap() {
            assert!(Instant::now() < deadline, "{} is over, and still in Redis", self.deal_id);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.model.archived = true;
    }

    /// Every coupon, and the deal, are as they should be; whichever process is asked.
    async fn end(mut self) {
        // Nothing expires between two looks.
        tokio::time::sleep(EXPIRY).await;
        self.model = self.model.at(now_ms());
        for (number, door) in self.doors.iter().enumerate() {
            for rank in 1..=self.model.issued() + 1 {
                let asked = pb::GetCouponRequest { coupon_id: format!("{}-{rank}", self.deal_id) };
                let (said, _) = said(door.clone().get_coupon(asked).await, |coupon| coupon);
                assert_eq!(said, self.model.coupon(rank), "rank {rank} by process {number}: {:?}", self.model);
            }
            let asked = pb::GetDealRequest { deal_id: self.deal_id.clone() };
            let deal = door.clone().get_deal(asked).await.unwrap().into_inner();
            let seen = (deal.stock, deal.remaining, deal.round, deal.state() == pb::DealState::Closed);
            assert_eq!(seen, self.model.deal(), "by process {number}: {:?}", self.model);
        }
    }
}

fn said<T>(answer: Result<Response<T>, Status>, coupon: impl FnOnce(T) -> pb::Coupon) -> (Said, Option<i64>) {
    match answer.map(|answer| coupon(answer.into_inner())) {
        Ok(coupon) => {
            let expires_ms = coupon.expires_at.map(|at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000);
            (Said::Coupon { rank: coupon.rank, state: coupon.state(), order_id: coupon.order_id }, expires_ms)
        }
        Err(status) => (Said::No(reason(&status)), None),
    }
}

fn deal_said(answer: Result<Response<pb::Deal>, Status>) -> (Said, Option<i64>) {
    (answer.map_or_else(|status| Said::No(reason(&status)), |deal| Said::Stock(deal.into_inner().stock)), None)
}

/// By the clock of this machine, which is the one of Redis too.
fn now_ms() -> i64 {
    kit::clock::to_millis(kit::clock::now())
}

#[test]
fn every_history_goes_by_the_rules() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (ground, processes) = runtime.block_on(promotions("histories", 2));
    let urls: Vec<String> = processes.iter().map(|process| process.grpc_url()).collect();
    // One way into each process.
    let all = runtime.block_on(doors(&urls));
    let ways = [all[0].clone(), all[1].clone()];
    let seed = rand::random();
    eprintln!("seed {seed}");
    let cases = if is_full() { HISTORIES.1 } else { HISTORIES.0 };
    let config = Config {
        cases,
        max_shrink_iters: 64,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let histories = (1..5_i64, any::<bool>(), prop::collection::vec(step(), 1..40));
    let run = TestRunner::new(config).run(&histories, |(stock, expires, steps)| {
        runtime.block_on(async {
            let mut history = History::begin(&ground, &ways, stock, expires).await;
            for step in steps {
                history.take(step).await;
            }
            history.end().await;
        });
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    let audit = runtime.block_on(told(Some(&ground), &["audit"]));
    assert!(audit.ends_with(" 0 violations\n"), "{audit}");
    drop(processes);
    runtime.block_on(ground.end());
}
