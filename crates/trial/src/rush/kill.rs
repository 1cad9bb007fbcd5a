//! A rush on a stage of its own, of which one part is killed again and again. What dies is started again at once, at the
//! same address and on its own disk; the rush ends only with everything up, and `booster audit` has the last word.

pub(crate) mod audit;
pub(crate) mod stage;

use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::arrival::Arrival;
use super::progress::{Progress, say};
use super::{Args, Over, Report, rush};
use audit::Audit;
use stage::Stage;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kill {
    /// One of two promotion processes, in turn
    Promotion,
    /// One of the three Redis primaries, in turn; it comes back on its own disk
    Redis,
}

/// What died in a rush, and what was left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// What.
    pub what: Kill,
    /// How often, from the first claim to the last answer.
    pub kills: usize,
    /// How many of these came before the last coupon was given out.
    pub while_given: usize,
    /// The last line of `booster audit`, without its first word.
    pub audit: String,
}

/// Who dies next, and when: all of it is decided by the seed.
struct Plan {
    rng: StdRng,
    arrival: Arrival,
    /// Number of the victim.
    next: usize,
    victims: usize,
    every: Duration,
}

/// From the moment when everything is up to the wave of claims that the next kill falls into, on average. A Redis primary
/// that comes back takes no writes for two seconds, by a rule of its own, so it has to be given longer to work in between.
const PROMOTION_EVERY: Duration = Duration::from_secs(2);
const REDIS_EVERY: Duration = Duration::from_secs(5);
/// Over how long coupons are given out: long enough that everybody dies at least once meanwhile.
const PROMOTION_SPREAD: Duration = Duration::from_secs(15);
const REDIS_SPREAD: Duration = Duration::from_secs(30);
/// How much shorter or longer one such pause may be, as a share of it.
const JITTER: f64 = 0.5;
/// How far into a wave a kill comes, at most: a wave of 300 claims takes longer.
const INTO_WAVE: Duration = Duration::from_millis(8);
/// With fewer kills than this within the rush, nothing is proven.
const KILLS_LEAST: usize = 3;

/// The whole of it: the stage, the rush, the kills beside it, the audit.
pub(super) async fn run(args: &Args, what: Kill, seed: u64) -> anyhow::Result<Report> {
    let mut stage = Stage::set(args.booster.as_deref()).await?;
    let args = Args {
        addrs: stage.addrs(),
        postgres_url: Some(stage.postgres_url()),
        // Nobody else is on this stage, and the deal's name decides which primary it lives on.
        deal: Some(args.deal.clone().unwrap_or_else(|| format!("rush-{seed:016x}"))),
        ..args.clone()
    };
    let plan = Plan::new(seed, what, Arrival::of(&args));
    let kills = async |progress, over| kill(&mut stage, what, plan, progress, over).await;
    let (mut report, kills) = rush(&args, seed, kills).await?;
    say("booster audit");
    let Audit { summary, violations, .. } = stage.audit().await?;
    report.verdict.violations.extend(violations);
    report.killed = Some(Killed {
        what,
        kills: kills.len(),
        while_given: kills.iter().filter(|at| **at < report.given).count(),
        audit: summary,
    });
    say("taking the servers away");
    Ok(report)
}

/// Until the rush is over. Answers when each kill was, counted from the beginning of the rush.
async fn kill(
    stage: &mut Stage,
    what: Kill,
    mut plan: Plan,
    progress: Progress,
    mut over: Over,
) -> anyhow::Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut kills = Vec::new();
    loop {
        let (at, victim) = plan.next(begun.elapsed());
        // Only a pause is cut short: whoever was killed is up again before the rush is judged.
        if tokio::time::timeout_at((begun + at).into(), &mut over).await.is_ok() {
            return Ok(kills);
        }
        let at = begun.elapsed();
        kills.push(at);
        stage.strike(what, victim).await?;
        let away = (begun.elapsed() - at).as_secs_f64();
        progress.say(&format!("at {:.1} s: {what} {victim} killed, up after {away:.2} s", at.as_secs_f64()));
    }
}

impl Plan {
    fn new(seed: u64, what: Kill, arrival: Arrival) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (victims, every) = match what {
            Kill::Promotion => (stage::PROCESSES, PROMOTION_EVERY),
            Kill::Redis => (stage::PRIMARIES, REDIS_EVERY),
        };
        Self { arrival, next: rng.random_range(0..victims), rng, victims, every }
    }

    /// When the next kill comes, where everything is up `now`, and who it is. Counted from the beginning of the rush.
    fn next(&mut self, now: Duration) -> (Duration, usize) {
        let victim = self.next;
        self.next = (victim + 1) % self.victims;
        let pause = self.every.mul_f64(self.rng.random_range(1.0 - JITTER..1.0 + JITTER));
        (self.arrival.wave_from(now + pause) + INTO_WAVE.mul_f64(self.rng.random()), victim)
    }
}

impl Kill {
    /// Over how long the first claims are spread, where nothing else is said.
    pub(super) fn spread(self) -> Duration {
        match self {
            Self::Promotion => PROMOTION_SPREAD,
            Self::Redis => REDIS_SPREAD,
        }
    }
}

/// One of them.
impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promotion => "promotion process",
            Self::Redis => "Redis primary",
        })
    }
}

impl Killed {
    /// Whether there were enough kills to prove anything.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.kills >= KILLS_LEAST
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, kills, while_given, audit } = self;
        writeln!(f, "killed      {kills} times a {what} in the rush, {while_given} while coupons were given out")?;
        writeln!(f, "audit       {audit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, what: Kill) -> Vec<(Duration, usize)> {
        let arrival = Arrival::of(&Args { kill: Some(what), ..Args::default() });
        let mut plan = Plan::new(seed, what, arrival);
        let mut now = Duration::ZERO;
        let next = || {
            let (at, victim) = plan.next(now);
            now = at;
            Some((at, victim))
        };
        std::iter::from_fn(next).take_while(|(at, _)| *at < what.spread()).collect()
    }

    #[test]
    fn the_seed_decides_who_dies_when() {
        for what in [Kill::Promotion, Kill::Redis] {
            assert_eq!(plan(7, what), plan(7, what));
            assert_ne!(plan(7, what), plan(8, what));
        }
    }

    #[test]
    fn everybody_dies_in_turn_and_early_in_a_wave_while_coupons_are_given_out() {
        for (what, victims) in [(Kill::Promotion, 2), (Kill::Redis, 3)] {
            for seed in 0..100 {
                let kills = plan(seed, what);
                assert!(kills.len() >= KILLS_LEAST, "{kills:?}");
                for (number, (at, victim)) in kills.iter().enumerate() {
                    assert_eq!(*victim, (kills[0].1 + number) % victims);
                    assert!(at.as_millis() % 500 <= INTO_WAVE.as_millis(), "{at:?}");
                }
            }
        }
    }
}
