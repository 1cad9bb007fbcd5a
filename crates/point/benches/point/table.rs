//! What was measured, for people and for programs.

use std::fmt;

use trial::bench::{Figure, tabulate};

use crate::field::Way;
use crate::turns::{Case, Measured, Over, Who, cases};

/// All that was measured.
pub struct Table {
    pub measured: Measured,
}

impl Table {
    /// Everything that is a ratio: ours divided by each of the others.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (over, name) in [(Over::One, "point/hot"), (Over::Many, "point/accounts")] {
            let ours = Case(Who::Ours, over).to_string();
            let mut figure = |name: &str, by: Who| {
                figures.push(self.measured.rounds.figure(name, &ours, &Case(by, over).to_string()));
            };
            figure(name, Who::Pgbench);
            figure(&format!("{name}/row-lock"), Who::Field(Way::RowLock));
            figure(&format!("{name}/version-check"), Who::Field(Way::VersionCheck));
            figure(&format!("{name}/event-sum"), Who::Field(Way::EventSum));
        }
        figures
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = &self.measured.rounds;
        writeln!(
            f,
            "\n{:32} {:>9} {:>8} {:>8}  CPU microseconds an operation",
            "for orientation", "ops/s", "p50 ms", "p99 ms"
        )?;
        for case in cases() {
            let name = case.to_string();
            write!(f, "{name:32} {:9.0}", rounds.rate(&name))?;
            match case.0 {
                Who::Pgbench => write!(f, " {:>8} {:>8}", "", "")?,
                Who::Ours | Who::Field(_) => {
                    write!(f, " {:8.2} {:8.2}", rounds.wait_ms(&name, 0.5), rounds.wait_ms(&name, 0.99))?;
                }
            }
            writeln!(f, "  {}", rounds.cpu_us(&name))?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tabulate(f, &self.figures())?;
        self.write_rates(f)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let others = self.measured.others / (self.measured.took * cores as f64) * 100.0;
        writeln!(
            f,
            "\nours: in process, half of it earned and half taken for orders, relay beside it; the last event of a turn was sent {:.0} ms \
             after\nits last answer at most; others used {others:.0} % of {cores} processors meanwhile",
            self.measured.behind.as_secs_f64() * 1e3
        )
    }
}
