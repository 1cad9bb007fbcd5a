//! The road of a claim without its door: the batcher in this process, and the function in Redis by itself. They have a place
//! of their own on the servers, where nobody relays.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use bus::journal::{Keys, Tag};
use bus::relay::journal::Bell;
use clap::Parser as _;
use kit::boot::Process;
use kit::config::ProcessArgs;
use kit::error::Error;
use kit::grpc::Deadline;
use kit::redis::Redis;
use promotion::claim::{Claims, LANES};
use promotion::deal::{DealId, Discount, Off, Prize, Refusal, Terms, UserId, Wish};
use promotion::redis::{Answer, Deals};
use promotion::winners::Winners;
use tokio::task::JoinSet;
use trial::bench::{Caller, Calls, Enough, Sample, closed};
use trial::ground::Ground;

use crate::client::{RUSH, Users};
use crate::stage::{Stage, migrate};

/// As many coupons as a deal can have.
const STOCK_MOST: i64 = 10_000_000;
/// How long the deals are open.
const OPEN_FOR: Duration = Duration::from_secs(3_600);
/// How long a claim may take.
const CLAIM_TIME: Duration = Duration::from_secs(2);

pub struct Bare {
    pub ground: Ground,
    pub keys: Keys,
    deals: Deals,
    claims: Claims,
    process: Process,
    running: JoinSet<std::process::ExitCode>,
}

/// What a process needs that nobody asks anything.
#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// Claims by the batcher, without a connection.
struct Direct {
    claims: Claims,
    deal_id: DealId,
    users: Users,
}

impl Caller for Direct {
    async fn call(&mut self) -> anyhow::Result<()> {
        let user_id = UserId::parse(&self.users.next())?;
        let answer = self.claims.claim(self.deal_id.clone(), user_id, Deadline::after(CLAIM_TIME)).await;
        let yes = answer.map_err(|no: Error<Refusal>| anyhow!("expected a coupon: {no:?}"))?;
        anyhow::ensure!(!yes.already_held, "somebody claimed twice");
        Ok(())
    }
}

impl Bare {
    pub async fn begin() -> anyhow::Result<Self> {
        let ground = Ground::new("bench-bare").await;
        migrate(&ground).await?;
        let servers = ground.servers();
        let process = process().await?;
        let pool = kit::postgres::connect(&servers, promotion::SERVICE).await?;
        let redis = Redis::connect(&servers, LANES, promotion::LIBRARIES).await?;
        let deals = Deals::new(redis, &servers);
        let winners = Winners::start(&process, &deals);
        let claims = Claims::start(&process, &deals, &pool, &Bell::default(), &winners);
        let mut running = JoinSet::new();
        running.spawn(process.clone().run_to_end());
        Ok(Self { keys: Keys::new(&servers, promotion::SERVICE), ground, deals, claims, process, running })
    }

    pub async fn end(mut self) {
        self.process.stop();
        self.running.join_next().await;
        self.ground.end().await;
    }

    /// A deal that is open, with more coupons than anybody can claim, and with a journal of its own: nobody empties it.
    pub async fn deal(&self, tag: Tag) -> anyhow::Result<DealId> {
        let named = (0..).map(|number| format!("bare-{tag}-{number}"));
        let deal_id = named.into_iter().find(|name| Tag::of(name) == tag).context("a name")?;
        let deal_id = DealId::parse(&deal_id)?;
        let off = Off::Percent(10);
        let discount = Discount { off, max_amount: None, min_order: None, valid_for_seconds: None };
        let now = kit::clock::now();
        let wish = Wish {
            deal_id: deal_id.clone(),
            title: "Bench".to_owned(),
            terms: Terms { venue_id: "bench".to_owned(), prize: Prize::Discount(discount) },
            stock: STOCK_MOST,
            opens_at: now,
            closes_at: now + OPEN_FOR,
            pass_required: false,
        };
        let put = self.deals.put(&wish).await.map_err(anyhow::Error::new)?;
        let armed = self.deals.arm(&deal_id).await.map_err(anyhow::Error::new)?;
        anyhow::ensure!(matches!((put, armed), (Answer::Found(()), Answer::Found(()))), "{deal_id} is not armed");
        Ok(deal_id)
    }

    /// How many coupons of the deal were issued.
    pub async fn issued(&self, deal_id: &DealId) -> anyhow::Result<u64> {
        match self.deals.look(deal_id).await.map_err(anyhow::Error::new)? {
            Answer::Found(course) => Ok(course.issued.unsigned_abs()),
            other @ (Answer::Frozen | Answer::Missing | Answer::Archived) => Err(anyhow!("{deal_id}: {other:?}")),
        }
    }

    /// As many claims at once as a rush has, by the batcher alone.
    pub async fn sample(&self, stage: &Stage, deal_id: &DealId, time: Duration) -> anyhow::Result<Sample> {
        let users = Users::New(std::sync::Arc::default());
        let direct = || Direct { claims: self.claims.clone(), deal_id: deal_id.clone(), users: users.clone() };
        let callers: Vec<Direct> = std::iter::repeat_with(direct).take(RUSH.callers()).collect();
        let before = stage.watched.look()?;
        let calls: Calls = closed(callers, Enough::Time(time)).await?;
        let sample = Sample { calls, spent: stage.watched.look()?.since(&before) };
        let issued = self.issued(deal_id).await?;
        anyhow::ensure!(issued == sample.calls.number, "{issued} coupons of {} claims", sample.calls.number);
        Ok(sample)
    }
}

/// A process within this one, on free ports.
pub async fn process() -> anyhow::Result<Process> {
    let any = "127.0.0.1:0";
    let flags = Flags::parse_from(["bench", "--grpc-addr", any, "--admin-addr", any, "--log-filter", "warn"]);
    Process::start(&flags.process, proto::DESCRIPTORS).await
}

/// In milliseconds since 1970, an hour from now: no call is too late.
pub fn not_after_ms() -> u128 {
    let later = SystemTime::now() + OPEN_FOR;
    later.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}
