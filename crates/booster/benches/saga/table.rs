//! What was measured, as it is printed and written down.

use std::fmt;

use trial::bench::{Figure, Rounds, tabulate};

use crate::caller::Kind;

/// What the bare transaction is called.
pub const TWO_ROWS: &str = "two rows";

/// All rounds.
#[derive(Default)]
pub struct Table {
    pub rounds: Rounds,
}

impl Table {
    /// How many bare transactions of two rows an order takes, from the placing to PAID; and the same of placing alone.
    pub fn figures(&self) -> Vec<Figure> {
        let cost = |name: &str, case: &str| {
            let ratios: Vec<f64> = self.rounds.ratios(TWO_ROWS, case);
            Figure::of(name, &format!("{TWO_ROWS}, transactions/s / {case}, orders/s"), &ratios)
        };
        vec![
            cost("saga/whole", Kind::Whole.paid()),
            cost("saga/plain", Kind::Plain.paid()),
            cost("saga/place_whole", Kind::Whole.placed()),
            cost("saga/place_plain", Kind::Plain.placed()),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "how many bare transactions of two rows an order costs: aim below 6 for saga/whole\n")?;
        tabulate(f, &self.figures())?;
        writeln!(f, "\n{:16} {:>9} {:>9} {:>9}", "", "per s", "p50 ms", "p99 ms")?;
        for kind in [Kind::Whole, Kind::Plain] {
            let (placed, paid) = (kind.placed(), kind.paid());
            let (p50, p99) = (self.rounds.wait_ms(placed, 0.5), self.rounds.wait_ms(placed, 0.99));
            writeln!(f, "{placed:16} {:9.0} {p50:9.1} {p99:9.1}", self.rounds.rate(placed))?;
            writeln!(f, "{paid:16} {:9.0}", self.rounds.rate(paid))?;
        }
        writeln!(f, "{TWO_ROWS:16} {:9.0}", self.rounds.rate(TWO_ROWS))?;
        for kind in [Kind::Whole, Kind::Plain] {
            writeln!(f, "\nCPU microseconds of an order, {}: {}", kind.paid(), self.rounds.cpu_us(kind.paid()))?;
        }
        Ok(())
    }
}
