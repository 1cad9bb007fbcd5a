//! What was measured, for people and for programs.

use std::fmt;

use trial::bench::{Figure, tabulate};

use crate::turns::{CASES, Case, Measured, Rows, SHARES};

/// All that was measured.
pub struct Table {
    pub measured: Measured,
    /// How many old rows are many.
    pub old: u64,
}

impl Table {
    /// Everything that is a ratio.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name, case: Case, by: Case| self.measured.rounds.figure(name, &case.to_string(), &by.to_string());
        let mut figures = vec![
            figure("outbox/drain", Case::Drain(Rows::None), Case::Inserts),
            figure("outbox/drain/old", Case::Drain(Rows::Old), Case::Inserts),
            figure("outbox/old/drain", Case::Drain(Rows::Old), Case::Drain(Rows::None)),
            figure("outbox/old/writers", Case::Writers(Rows::Old), Case::Writers(Rows::None)),
        ];
        for (ratios, share) in self.measured.waits.iter().zip(SHARES) {
            let name = format!("outbox/old/p{:.0}", share * 100.0);
            let unit = format!("{}, ms / {}, ms", Case::HalfLoad(Rows::Old), Case::HalfLoad(Rows::None));
            figures.push(Figure::of(&name, &unit, ratios));
        }
        figures
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:28} {:>9} {:>8} {:>8}  CPU microseconds a row",
            "for orientation", "rows/s", "p50 ms", "p99 ms"
        )?;
        for case in CASES {
            let name = case.to_string();
            write!(f, "{name:28} {:9.0}", self.measured.rounds.rate(&name))?;
            for share in SHARES {
                match case {
                    Case::Inserts | Case::Drain(_) => write!(f, " {:>8}", "")?,
                    Case::Writers(_) | Case::HalfLoad(_) => {
                        write!(f, " {:8.2}", self.measured.rounds.wait_ms(&name, share))?;
                    }
                }
            }
            writeln!(f, "  {}", self.measured.rounds.cpu_us(&name))?;
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
            "\nwaits: of writers, from the beginning of a transaction to the end of its commit; at half load, from the insert of \
             a row,\nbefore its commit, to its mark, after Kafka's acknowledgement (sent_at - happened_at)\nmany old rows: {}; \
             others used {others:.0} % of {cores} processors while the outbox worked",
            self.old
        )
    }
}
