//! Orders on a stage of their own, on which somebody is killed again and again. Whoever dies is started again at once, at the same
//! address; the run ends only with everybody up.

mod stage;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::progress::say;
use super::{Args, Over, Report, Setting, orders};
use stage::Stage;

/// Who is killed: the processes of a service, each with its relay and its consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Victim {
    /// One of the two processes of order
    Order,
    /// The process of point
    Point,
    /// The process of payment
    Payment,
}

/// What died in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Killed {
    /// Who was to die.
    pub wanted: Vec<Victim>,
    /// How often each of them, while orders were on their way.
    pub kills: BTreeMap<Victim, usize>,
    /// How many of these came after the last order was placed.
    pub afterwards: usize,
}

/// Who dies next, and when: all of it is decided by the seed.
struct Plan {
    rng: StdRng,
    /// Everybody who may die, in an order that is drawn anew each time all have died.
    round: Vec<(Victim, usize)>,
    all: Vec<(Victim, usize)>,
    every: Duration,
}

/// How much shorter or longer one pause may be, as a share of it.
const JITTER: f64 = 0.5;

/// The whole of it: the stage, the orders, the kills beside them.
pub(super) async fn run(args: &Args, seed: u64) -> anyhow::Result<Report> {
    let mut stage = Stage::set(args.booster.as_deref()).await?;
    let setting = Setting {
        addresses: stage.addresses(),
        postgres_url: stage.postgres_url(),
        provider_log: Some(stage.provider_log()),
        booster: stage.booster(),
        env: stage.env(),
    };
    let plan = Plan::new(seed, args, &stage.victims());
    let (mut report, killed) = orders(args, seed, &setting, async |over| kill(&mut stage, plan, over).await).await?;
    stage.check()?;
    report.killed = args.kills().then_some(killed);
    say("taking the processes and the servers away");
    Ok(report)
}

/// Until the last order has ended.
async fn kill(stage: &mut Stage, plan: Option<Plan>, mut over: Over) -> anyhow::Result<Killed> {
    let mut killed = Killed::default();
    let Some(mut plan) = plan else { return Ok(killed) };
    killed.wanted = plan.all.iter().map(|(victim, _)| *victim).collect();
    let begun = Instant::now();
    loop {
        let (pause, (victim, number)) = plan.next();
        // Only a pause is cut short: whoever was killed is up again before anything is judged.
        if tokio::time::timeout(pause, over.ended()).await.is_ok() {
            return Ok(killed);
        }
        let at = begun.elapsed();
        stage.strike(victim, number).await?;
        *killed.kills.entry(victim).or_default() += 1;
        killed.afterwards += usize::from(over.is_placed());
        let away = (begun.elapsed() - at).as_secs_f64();
        over.say(&format!("at {:.1} s: {victim} {number} killed, up after {away:.2} s", at.as_secs_f64()));
    }
}

impl Plan {
    /// Nothing where nobody is killed.
    fn new(seed: u64, args: &Args, there: &[(Victim, usize)]) -> Option<Self> {
        let all: Vec<_> = there.iter().copied().filter(|(victim, _)| args.kill.contains(victim)).collect();
        let rng = StdRng::seed_from_u64(seed);
        (args.kills() && !all.is_empty()).then(|| Self { rng, round: Vec::new(), all, every: args.kill_every })
    }

    /// How long everybody is left in peace, and who dies then.
    fn next(&mut self) -> (Duration, (Victim, usize)) {
        let victim = match self.round.pop() {
            Some(victim) => victim,
            None => {
                self.round = self.all.clone();
                self.round.shuffle(&mut self.rng);
                self.round.pop().unwrap_or(self.all[0])
            }
        };
        (self.every.mul_f64(self.rng.random_range(1.0 - JITTER..1.0 + JITTER)), victim)
    }
}

impl Killed {
    /// Whether everybody who was to die has.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.wanted.iter().all(|victim| self.kills.contains_key(victim))
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "order",
            Self::Point => "point",
            Self::Payment => "payment",
        })
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<_> = self.kills.iter().map(|(victim, count)| format!("{victim} {count} times")).collect();
        write!(f, "killed      {}; {} of these after the last placing", kills.join(", "), self.afterwards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: [(Victim, usize); 4] =
        [(Victim::Order, 0), (Victim::Order, 1), (Victim::Point, 0), (Victim::Payment, 0)];

    fn plan(seed: u64, args: &Args) -> Option<Vec<(Duration, (Victim, usize))>> {
        let mut plan = Plan::new(seed, args, &THERE)?;
        Some((0..8).map(|_| plan.next()).collect())
    }

    #[test]
    fn everybody_dies_in_each_round_in_an_order_that_the_seed_decides() {
        let args = Args::default();
        let kills = plan(7, &args).unwrap();
        assert_eq!(plan(7, &args).unwrap(), kills);
        assert_ne!(plan(8, &args).unwrap(), kills);
        for round in kills.chunks(4) {
            let mut victims: Vec<_> = round.iter().map(|(_, victim)| *victim).collect();
            victims.sort();
            assert_eq!(victims, THERE);
        }
        let bounds = args.kill_every.mul_f64(1.0 - JITTER)..=args.kill_every.mul_f64(1.0 + JITTER);
        assert!(kills.iter().all(|(pause, _)| bounds.contains(pause)), "{kills:?}");
    }

    #[test]
    fn only_those_die_who_are_named_and_nobody_without_a_pause() {
        let points = Args { kill: vec![Victim::Point], ..Args::default() };
        assert!(plan(7, &points).unwrap().iter().all(|(_, victim)| *victim == (Victim::Point, 0)));
        assert_eq!(plan(7, &Args { kill_every: Duration::ZERO, ..Args::default() }), None);
    }

    #[test]
    fn a_kill_of_one_proves_nothing_of_another() {
        let mut killed = Killed { wanted: vec![Victim::Order, Victim::Point], ..Killed::default() };
        killed.kills.insert(Victim::Order, 3);
        assert!(!killed.is_enough());
        killed.kills.insert(Victim::Point, 1);
        assert!(killed.is_enough());
        assert_eq!(killed.to_string(), "killed      order 3 times, point 1 times; 0 of these after the last placing");
    }
}
