//! What was measured, for people and for programs.

use std::fmt;

use kit::config::Durability::{Fsync, Memory};
use trial::bench::{Figure, Rounds, per_second, quantile_ms, tabulate};

use crate::client::{Load, RUSH};
use crate::consumer::Consumed;
use crate::minute::{Burst, Minute};
use crate::turns::{CASES, Case, Half, LOADS, whole};

/// All that was measured.
pub struct Table {
    pub rounds: Rounds,
    pub half: Vec<Half>,
    pub consumer: Consumed,
    pub burst: Burst,
    pub minute: Minute,
}

/// Cases that are divided by the empty call.
const THROUGH_THE_DOOR: [Case; 4] = [Case::Accepted(Memory), Case::Accepted(Fsync), Case::SoldOut, Case::Repeat];

impl Table {
    /// Everything that is a ratio. The names of what is measured as in a rush carry no load.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for load in LOADS {
            for case in THROUGH_THE_DOOR {
                figures.push(self.rounds.figure(&named(case, load), &case.at(load), &Case::Empty.at(load)));
            }
        }
        figures.push(self.minute_figure());
        for durability in [Fsync, Memory] {
            let name = if durability == Fsync { "claim/batcher" } else { "claim/batcher/memory" };
            let (batcher, one) = (Case::Batcher(durability), Case::OneACall(durability));
            figures.push(self.rounds.figure(name, &batcher.to_string(), &one.to_string()));
            figures.push(self.rounds.figure(&format!("claim/{one}"), &one.to_string(), &Case::Empty.at(RUSH)));
        }
        figures.push(self.consumer.figure());
        figures
    }

    fn minute_figure(&self) -> Figure {
        let rate = per_second(self.minute.stored, self.minute.claims.calls.took);
        let unit = "claims in PostgreSQL when a minute of claims ends, rows/s / empty 4x64, calls/s";
        Figure::of("claim/sustained/fsync", unit, &[rate / self.rounds.rate(&Case::Empty.at(RUSH))])
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:28} {:>9} {:>8} {:>8}  CPU microseconds a call",
            "for orientation", "calls/s", "p50 ms", "p99 ms"
        )?;
        for case in CASES {
            for load in LOADS.into_iter().filter(|load| case.has_door() || *load == RUSH) {
                let name = case.at(load);
                let (rate, cpu) = (self.rounds.rate(&name), self.rounds.cpu_us(&name));
                let [half, most] = [0.5, 0.99].map(|share| self.rounds.wait_ms(&name, share));
                writeln!(f, "{name:28} {rate:9.0} {half:8.2} {most:8.2}  {cpu}")?;
            }
        }
        for Half { case, calls, refused } in &self.half {
            let name = format!("{case}, half load");
            let rate = per_second(calls.number, calls.took);
            let [half, most] = [0.5, 0.99].map(|share| quantile_ms(&calls.waits, share));
            writeln!(f, "{name:28} {rate:9.0} {half:8.2} {most:8.2}  {refused} found no room")?;
        }
        Ok(())
    }

    fn write_road(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { consumer, burst, minute, .. } = self;
        writeln!(
            f,
            "\nconsumer: {:.0} rows/s; plain inserts: {:.0} rows/s",
            mean(&consumer.consumer),
            mean(&consumer.inserts)
        )?;
        writeln!(
            f,
            "burst of {}: answered after {:.1} s, {:.0} claims/s; all in PostgreSQL after {:.1} s",
            burst.claims.calls.number,
            burst.claims.calls.took.as_secs_f64(),
            burst.claims.rate(),
            burst.stored.as_secs_f64(),
        )?;
        let took = minute.claims.calls.took;
        writeln!(
            f,
            "{:.0} s of claims: {} coupons, {:.0} a second; {} of {} calls found no room; {} in PostgreSQL at the end, \
             {:.0} a second; all after {:.1} s, {:.0} a second",
            took.as_secs_f64(),
            minute.won,
            per_second(minute.won, took),
            minute.claims.calls.number - minute.won,
            minute.claims.calls.number,
            minute.stored,
            per_second(minute.stored, took),
            minute.all_stored.as_secs_f64(),
            per_second(minute.won, minute.all_stored),
        )?;
        writeln!(
            f,
            "CPU microseconds a claim until it is in PostgreSQL: {}",
            minute.spent.times(1e6 / whole(minute.won.max(1)))
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tabulate(f, &self.figures())?;
        self.write_rates(f)?;
        self.write_road(f)
    }
}

/// `claim/<case>`, with the load where it is not that of a rush.
fn named(case: Case, load: Load) -> String {
    if load == RUSH { format!("claim/{case}") } else { format!("claim/{case}/{load}") }
}

fn mean(rates: &[f64]) -> f64 {
    rates.iter().sum::<f64>() / whole(rates.len() as u64)
}
