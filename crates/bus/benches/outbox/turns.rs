//! The cases in turns: each is measured once a round, and the rounds begin with another one each time.

use std::fmt;
use std::time::Instant;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use trial::bench::{Calls, Enough, Rounds, Sample, Watched, closed, paced, quantile_ms};

use crate::args::Size;
use crate::inserts;
use crate::place::{Place, WRITERS, Writer};

/// Which outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One that holds nothing but what was written last.
    None,
    /// One with many rows that were sent.
    Old,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Plain inserts by `pgbench`.
    Inserts,
    /// A relay is started, until it has sent all that was waiting.
    Drain(Rows),
    /// Writers, as fast as they can, beside the relay.
    Writers(Rows),
    /// Half as many a second. Measured with the writers, whose rate it needs.
    HalfLoad(Rows),
}

/// All of them.
pub const CASES: [Case; 7] = [
    Case::Inserts,
    Case::Drain(Rows::None),
    Case::Drain(Rows::Old),
    Case::Writers(Rows::None),
    Case::HalfLoad(Rows::None),
    Case::Writers(Rows::Old),
    Case::HalfLoad(Rows::Old),
];
/// What a round consists of.
const TURNS: [Case; 5] = [
    Case::Inserts,
    Case::Drain(Rows::None),
    Case::Drain(Rows::Old),
    Case::Writers(Rows::None),
    Case::Writers(Rows::Old),
];
/// The shares of all rows whose waits are told.
pub const SHARES: [f64; 2] = [0.5, 0.99];

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none old",
            Self::Old => "many old",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserts => f.write_str("pgbench"),
            Self::Drain(rows) => write!(f, "drain, {rows}"),
            Self::Writers(rows) => write!(f, "writers, {rows}"),
            Self::HalfLoad(rows) => write!(f, "half load, {rows}"),
        }
    }
}

/// The places, and who works there.
pub struct Stage {
    pub none: Place,
    pub old: Place,
    pub watched: Watched,
}

impl Stage {
    fn place(&self, rows: Rows) -> &Place {
        match rows {
            Rows::None => &self.none,
            Rows::Old => &self.old,
        }
    }
}

/// What came of all rounds.
#[derive(Default)]
pub struct Measured {
    pub rounds: Rounds,
    /// The waits at half load with many old rows divided by those with none, round by round, for each of [`SHARES`].
    pub waits: [Vec<f64>; 2],
    /// CPU seconds of others while a relay or writers worked, and how long that was.
    pub others: f64,
    pub took: f64,
}

/// All rounds. The first one is not kept: it warms up.
pub async fn measure(stage: &Stage, size: &Size, say: impl Fn(&str)) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for round in 0..=size.rounds {
        say(&format!("round {round} of {}", size.rounds));
        let mut waits = Vec::new();
        for case in Rounds::order(&TURNS, round) {
            for (case, sample) in take(stage, *case, size).await.with_context(|| case.to_string())? {
                if let Case::HalfLoad(rows) = case {
                    waits.push((rows, SHARES.map(|share| quantile_ms(&sample.calls.waits, share))));
                }
                if case != Case::Inserts {
                    measured.others += sample.spent.others;
                    measured.took += sample.calls.took.as_secs_f64();
                }
                measured.rounds.note(&case.to_string(), sample);
            }
        }
        measured.note_waits(&waits);
        if round == 0 {
            measured = Measured::default();
        }
    }
    Ok(measured)
}

impl Measured {
    fn note_waits(&mut self, waits: &[(Rows, [f64; 2])]) {
        let of = |rows| waits.iter().find(|(other, _)| *other == rows).map(|(_, waits)| waits);
        let (Some(none), Some(old)) = (of(Rows::None), of(Rows::Old)) else { return };
        for (ratios, (old, none)) in self.waits.iter_mut().zip(old.iter().zip(none)) {
            ratios.push(old / none);
        }
    }
}

async fn take(stage: &Stage, case: Case, size: &Size) -> anyhow::Result<Vec<(Case, Sample)>> {
    match case {
        Case::Inserts => Ok(vec![(case, inserts::sample(&stage.none, &stage.watched, size.inserts).await?)]),
        Case::Drain(rows) => Ok(vec![(case, drain(stage.place(rows), &stage.watched, size.rows).await?)]),
        Case::Writers(rows) | Case::HalfLoad(rows) => {
            let [full, half] = tell(stage.place(rows), &stage.watched, size).await?;
            Ok(vec![(Case::Writers(rows), full), (Case::HalfLoad(rows), half)])
        }
    }
}

/// From the start of a relay, its connections included, until all is marked.
async fn drain(place: &Place, watched: &Watched, rows: u64) -> anyhow::Result<Sample> {
    place.prepare(rows).await?;
    let before = watched.look()?;
    let begun = Instant::now();
    let relaying = place.relay().await?;
    place.all_sent().await?;
    let took = begun.elapsed();
    let spent = watched.look()?.since(&before);
    relaying.end().await?;
    Ok(Sample { calls: Calls { number: rows, took, waits: Histogram::new(1)? }, spent })
}

/// Writers as fast as they can, and at half of what they have reached; of the latter it is seen how long each row waited.
async fn tell(place: &Place, watched: &Watched, size: &Size) -> anyhow::Result<[Sample; 2]> {
    place.prepare(0).await?;
    let relaying = place.relay().await?;
    let writer = |number| Writer { pool: place.pool.clone(), outbox: relaying.outbox.clone(), number };
    let writers: Vec<Writer> = (0..).map(writer).take(WRITERS).collect();
    let before = watched.look()?;
    let calls = closed(writers.clone(), Enough::Time(size.writers)).await?;
    let full = Sample { calls, spent: watched.look()?.since(&before) };
    place.all_sent().await?;

    let after = place.last_id().await?;
    let before = watched.look()?;
    let mut calls = paced(&writers, full.rate() / 2.0, size.half_load).await?;
    let spent = watched.look()?.since(&before);
    place.all_sent().await?;
    calls.waits = place.waits(after).await?;
    relaying.end().await?;
    Ok([full, Sample { calls, spent }])
}
