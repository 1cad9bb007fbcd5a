//! The cases in turns: each is measured once a round, and the rounds begin with another one each time.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use trial::bench::{Calls, Enough, Rounds, Sample, Watched, closed};

use crate::args::Size;
use crate::field::{self, Way};
use crate::place::Place;
use crate::{ours, pgbench};

/// Over how many accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The one that everybody wants.
    One,
    /// Ten thousand.
    Many,
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `pgbench`, one row a transaction.
    Pgbench,
    /// The ledger.
    Ours,
    /// One of the ways of others.
    Field(Way),
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case(pub Who, pub Over);

/// Everyone.
pub const EVERYONE: [Who; 5] =
    [Who::Pgbench, Who::Ours, Who::Field(Way::RowLock), Who::Field(Way::VersionCheck), Who::Field(Way::EventSum)];

impl Over {
    /// The number of an account: 0, or any of the others.
    pub fn pick(self, accounts: u32) -> u32 {
        match self {
            Self::One => 0,
            Self::Many => rand::random_range(1..=accounts),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Who::Pgbench => f.write_str("pgbench")?,
            Who::Ours => f.write_str("ours")?,
            Who::Field(way) => write!(f, "{way}")?,
        }
        f.write_str(match self.1 {
            Over::One => ", one account",
            Over::Many => ", 10,000 accounts",
        })
    }
}

/// All cases, in the order of the table.
pub fn cases() -> Vec<Case> {
    [Over::One, Over::Many].into_iter().flat_map(|over| EVERYONE.map(|who| Case(who, over))).collect()
}

/// What came of all rounds.
#[derive(Default)]
pub struct Measured {
    pub rounds: Rounds,
    /// How long after the last answer the last event of a turn was marked as sent, at most.
    pub behind: Duration,
    /// CPU seconds of others while the ledger worked, and how long that was.
    pub others: f64,
    pub took: f64,
}

/// All rounds. The first one is not kept: it warms up.
pub async fn measure(place: &Place, watched: &Watched, size: &Size, say: impl Fn(&str)) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for round in 0..=size.rounds {
        say(&format!("round {round} of {}", size.rounds));
        for case in Rounds::order(&cases(), round) {
            let before = watched.look()?;
            let calls = calls(place, *case, size.turn).await.with_context(|| case.to_string())?;
            let answered = Instant::now();
            // What the ledger has told is part of its work, also where it is sent a little later.
            place.all_sent().await?;
            let spent = watched.look()?.since(&before);
            if case.0 == Who::Ours {
                measured.behind = measured.behind.max(answered.elapsed());
                measured.others += spent.others;
                measured.took += calls.took.as_secs_f64();
            }
            measured.rounds.note(&case.to_string(), Sample { calls, spent });
        }
        if round == 0 {
            measured = Measured::default();
        }
    }
    Ok(measured)
}

async fn calls(place: &Place, Case(who, over): Case, turn: Duration) -> anyhow::Result<Calls> {
    match who {
        Who::Pgbench => pgbench::calls(place, over, turn).await,
        Who::Ours => {
            let client = |nth| ours::Client { lanes: place.lanes.clone(), over, earned: nth % 2 == 0 };
            closed((0..ours::CALLERS).map(client).collect(), Enough::Time(turn)).await
        }
        Who::Field(way) => {
            let client = |nth| {
                let amount = if nth % 2 == 0 { 1 } else { -1 };
                field::Client { pool: place.plain.clone(), way, over, amount }
            };
            closed((0..field::CALLERS).map(client).collect(), Enough::Time(turn)).await
        }
    }
}
