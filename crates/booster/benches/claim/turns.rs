//! The cases in turns: each is measured once a round, and the rounds begin with another one each time.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bus::journal::Tag;
use kit::config::Durability;
use promotion::deal::DealId;
use trial::bench::{Calls, Enough, Rounds, Sample, paced};

use crate::args::Size;
use crate::bare::Bare;
use crate::client::{ALONE, BUSY, Claimer, Expected, Load, RUSH};
use crate::one_a_call;
use crate::stage::{FROM_MEMORY, Stage};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The method with nothing behind it.
    Empty,
    /// Everybody gets a coupon.
    Accepted(Durability),
    /// Nobody gets one: answered from memory.
    SoldOut,
    /// Winners ask again: answered from memory.
    Repeat,
    /// The batcher, without gRPC before it.
    Batcher(Durability),
    /// The function in Redis, one claim a call.
    OneACall(Durability),
}

/// All of them, in the order of the first round. Neighbours share a durability where they can: it is switched less often.
pub const CASES: [Case; 9] = [
    Case::Empty,
    Case::Accepted(Durability::Fsync),
    Case::OneACall(Durability::Fsync),
    Case::Batcher(Durability::Fsync),
    Case::SoldOut,
    Case::Repeat,
    Case::Batcher(Durability::Memory),
    Case::OneACall(Durability::Memory),
    Case::Accepted(Durability::Memory),
];

/// The loads of a case that has a door.
pub const LOADS: [Load; 3] = [RUSH, BUSY, ALONE];

/// How many claims of those that memory should answer may have gone to Redis, as when a confirmation is late.
const FROM_REDIS_MOST: f64 = 0.05;

impl Case {
    /// Whether it is called over connections.
    pub fn has_door(self) -> bool {
        !matches!(self, Self::Batcher(_) | Self::OneACall(_))
    }

    /// What its samples are called.
    pub fn at(self, load: Load) -> String {
        if self.has_door() { format!("{self} {load}") } else { self.to_string() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Accepted(durability) => write!(f, "accepted/{}", word(*durability)),
            Self::SoldOut => f.write_str("sold_out"),
            Self::Repeat => f.write_str("repeat"),
            Self::Batcher(durability) => write!(f, "batcher/{}", word(*durability)),
            Self::OneACall(durability) => write!(f, "one_a_call/{}", word(*durability)),
        }
    }
}

/// A durability as the flag has it.
pub fn word(durability: Durability) -> &'static str {
    match durability {
        Durability::Fsync => "fsync",
        Durability::Memory => "memory",
    }
}

/// All rounds. The first one is not kept: it warms up.
pub async fn measure(stage: &Stage, bare: &Bare, size: &Size, say: impl Fn(&str)) -> anyhow::Result<Rounds> {
    let mut turns = Turns { stage, bare, size, tags: Tag::all().collect(), rounds: Rounds::default() };
    for round in 0..=size.rounds {
        say(&format!("round {round} of {}", size.rounds));
        for case in Rounds::order(&CASES, round) {
            turns.take(*case, round).await.with_context(|| case.to_string())?;
        }
        if round == 0 {
            turns.rounds = Rounds::default();
        }
    }
    Ok(turns.rounds)
}

struct Turns<'a> {
    stage: &'a Stage,
    bare: &'a Bare,
    size: &'a Size,
    /// Journals that nobody has written to yet.
    tags: Vec<Tag>,
    rounds: Rounds,
}

impl Turns<'_> {
    async fn take(&mut self, case: Case, round: usize) -> anyhow::Result<()> {
        let Self { stage, bare, size, .. } = *self;
        match case {
            Case::Batcher(durability) => {
                stage.set(durability).await?;
                let deal_id = self.bare_deal().await?;
                self.rounds.note(&case.at(RUSH), bare.sample(stage, &deal_id, size.window).await?);
            }
            Case::OneACall(durability) => {
                stage.set(durability).await?;
                let deal_id = self.bare_deal().await?;
                self.rounds.note(&case.at(RUSH), one_a_call::sample(stage, bare, &deal_id, size.one_a_call).await?);
            }
            Case::Empty | Case::Accepted(_) | Case::SoldOut | Case::Repeat => {
                for load in LOADS {
                    let window = if load == RUSH { size.window } else { size.side_window };
                    self.rounds.note(&case.at(load), through_the_door(stage, case, load, round, window).await?);
                }
            }
        }
        Ok(())
    }

    async fn bare_deal(&mut self) -> anyhow::Result<DealId> {
        self.bare.deal(self.tags.pop().context("more turns than journals")?).await
    }
}

async fn through_the_door(
    stage: &Stage,
    case: Case,
    load: Load,
    round: usize,
    window: Duration,
) -> anyhow::Result<Sample> {
    let deal_id = format!("{case}-{load}-{round}").replace('/', "-");
    let remembered = stage.metric(FROM_MEMORY).await?;
    let callers = callers(stage, case, load, &deal_id).await?;
    let sample = stage.sample(callers, Enough::Time(window)).await?;
    match case {
        // The next case must not be measured while this one is still on its way.
        Case::Accepted(_) => stage.arrived(&deal_id, sample.calls.number).await?,
        Case::SoldOut | Case::Repeat => {
            let from_memory = stage.metric(FROM_MEMORY).await? - remembered;
            let all = whole(sample.calls.number);
            ensure!(from_memory >= all * (1.0 - FROM_REDIS_MOST), "{from_memory} of {all} were answered from memory");
        }
        Case::Empty | Case::Batcher(_) | Case::OneACall(_) => {}
    }
    Ok(sample)
}

async fn callers(stage: &Stage, case: Case, load: Load, deal_id: &str) -> anyhow::Result<Vec<Claimer>> {
    match case {
        Case::Accepted(durability) => {
            stage.set(durability).await?;
            stage.deal(deal_id).await?;
            stage.accepted(load, deal_id, Expected::Coupon).await
        }
        Case::SoldOut => stage.late(load).await,
        Case::Repeat => stage.winners(load).await,
        Case::Empty | Case::Batcher(_) | Case::OneACall(_) => stage.empty(load).await,
    }
}

/// The waits of a case at half the rate that it reached.
pub struct Half {
    pub case: Case,
    pub calls: Calls,
    /// Calls among them that found no room: on a machine that others use too.
    pub refused: u64,
}

/// Half of what was reached, whether or not the calls before are answered.
pub async fn half_load(stage: &Stage, rounds: &Rounds, size: &Size) -> anyhow::Result<Vec<Half>> {
    let mut all = Vec::new();
    for case in [Case::Empty, Case::Accepted(Durability::Memory), Case::Accepted(Durability::Fsync)] {
        let deal_id = format!("half-{case}").replace('/', "-");
        let mut callers = callers(stage, case, RUSH, &deal_id).await?;
        for caller in callers.iter_mut().filter(|caller| caller.expected == Expected::Coupon) {
            caller.expected = Expected::CouponIfRoom;
        }
        let rate = rounds.rate(&case.at(RUSH)) / 2.0;
        let calls = paced(&callers, rate, size.half_load).await.with_context(|| format!("half load, {case}"))?;
        let mut refused = 0;
        if let (Case::Accepted(_), Some(caller)) = (case, callers.first()) {
            let won = caller.won.load(Ordering::Relaxed);
            stage.arrived(&deal_id, won).await?;
            refused = calls.number - won;
        }
        all.push(Half { case, calls, refused });
    }
    Ok(all)
}

/// A count as a floating number.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub fn whole(number: u64) -> f64 {
    number as f64
}
