//! What happened, in numbers and a verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::kept::Order;
use super::{Killed, Verdict};

/// What happened.
#[derive(Debug)]
pub struct Report {
    /// Orders that were wanted.
    pub wanted: usize,
    /// Orders that are kept.
    pub placed: usize,
    /// Orders that have ended.
    pub finished: usize,
    /// From the first placing to the last answer to one.
    pub took: Duration,
    /// From the first placing until every order had ended, or was not waited for any longer.
    pub ended: Duration,
    /// From the first attempt at a placing to its definite answer, in microseconds.
    pub waits: Histogram<u64>,
    /// From the placing of a paid order until it was paid, in microseconds.
    pub paid: Histogram<u64>,
    /// How many orders ended as what, with the reason of those that were undone.
    pub ends: BTreeMap<String, usize>,
    /// Orders with a coupon, with points, and with a discount and points that count.
    pub with_coupon: usize,
    /// See `with_coupon`.
    pub with_points: usize,
    /// Orders of which a step was given up, because nobody answered in time.
    pub silent: usize,
    /// Attempts without an answer, and attempts after the first one of a call.
    pub unknown: usize,
    /// See `unknown`.
    pub retried: usize,
    /// What paid orders were charged, in minor units.
    pub charged: i64,
    /// Deeds in the provider's log, if it was looked at.
    pub deeds: Option<usize>,
    /// From the end of the wait until everything had arrived; nothing where something had not.
    pub arrived: Option<Duration>,
    /// What was killed meanwhile.
    pub killed: Option<Killed>,
    /// The lines of `booster audit` that sum up, without their first word.
    pub audit: Vec<String>,
    /// Whether everything is as it must be.
    pub verdict: Verdict,
}

/// Violations that are printed; the journal and the stores have the rest.
const VIOLATIONS_PRINTED: usize = 20;
/// The longest time that is told apart from longer ones, in microseconds, and its digits.
const LONGEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

impl Report {
    /// Counts what the orders say; everything else is still zero.
    pub(super) fn count(orders: &[Order], verdict: Verdict) -> Self {
        let empty = || Histogram::new_with_max(LONGEST_US, DIGITS).expect("the bounds above are in range");
        let mut paid = empty();
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for order in orders {
            let why = if order.reason.is_empty() { String::new() } else { format!(" {}", order.reason) };
            *ends.entry(format!("{}{why}", order.state_name())).or_default() += 1;
            if let Some(after) = order.inside.paid_after {
                paid.saturating_record(u64::try_from(after.as_micros()).unwrap_or(LONGEST_US));
            }
        }
        Self {
            wanted: 0,
            placed: orders.len(),
            finished: orders.iter().filter(|order| order.is_sale() || order.is_undone()).count(),
            took: Duration::ZERO,
            ended: Duration::ZERO,
            waits: empty(),
            paid,
            ends,
            with_coupon: orders.iter().filter(|order| order.coupon_id.is_some()).count(),
            with_points: orders.iter().filter(|order| order.points > 0).count(),
            silent: orders.iter().filter(|order| order.inside.is_silent).count(),
            unknown: 0,
            retried: 0,
            charged: orders.iter().filter(|order| order.is_sale()).map(Order::charge).sum(),
            deeds: None,
            arrived: None,
            killed: None,
            audit: Vec::new(),
            verdict,
        }
    }

    /// Whether somebody was to be killed, and that proves nothing: not everybody was.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        self.killed.as_ref().is_some_and(|killed| !killed.is_enough())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took, ended) = (self.took.as_secs_f64(), self.ended.as_secs_f64());
        let per_second = |seconds: f64| self.placed as f64 / seconds.max(f64::EPSILON);
        writeln!(
            f,
            "placed      {} orders of {} in {took:.1} s: {:.0} orders/s",
            self.placed,
            self.wanted,
            per_second(took)
        )?;
        let at = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        let [p50, p99] = [0.5, 0.99].map(|quantile| at(&self.waits, quantile));
        writeln!(f, "waited      p50 {p50:.1} ms, p99 {p99:.1} ms for the answer to a placing")?;
        let placed = self.placed;
        let finished = self.finished;
        writeln!(f, "ended       {finished} of {placed} within {ended:.1} s: {:.0} orders/s", per_second(ended))?;
        let [p50, p99] = [0.5, 0.99].map(|quantile| at(&self.paid, quantile) / 1000.0);
        writeln!(f, "paid        p50 {p50:.2} s, p99 {p99:.2} s after the placing")?;
        for (end, count) in &self.ends {
            writeln!(f, "  {count:>8}  {end}")?;
        }
        writeln!(f, "with        {} a coupon, {} points", self.with_coupon, self.with_points)?;
        writeln!(
            f,
            "unknown     {} attempts; {} repeated; {} orders with a step that was given up",
            self.unknown, self.retried, self.silent
        )?;
        match self.deeds {
            Some(deeds) => writeln!(f, "charged     {} in all; {deeds} deeds in the provider's log", self.charged)?,
            None => writeln!(f, "charged     {} in all; judged without --provider-log", self.charged)?,
        }
        match self.arrived {
            Some(arrived) => writeln!(f, "arrived     {:.1} s later, everywhere", arrived.as_secs_f64())?,
            None => writeln!(f, "arrived     not everywhere")?,
        }
        if let Some(killed) = &self.killed {
            writeln!(f, "{killed}")?;
        }
        for line in &self.audit {
            writeln!(f, "audit       {line}")?;
        }
        self.write_verdict(f)
    }
}

impl Report {
    /// The word VERDICT begins the last line, or the last but the violations.
    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = &self.verdict.violations;
        if self.verdict.is_exact() {
            let beside = if self.is_beside() {
                ", but not everybody was killed: give it longer with --spread, or kill more often with --kill-every"
            } else {
                ""
            };
            return writeln!(f, "VERDICT exact{beside}");
        }
        writeln!(f, "VERDICT VIOLATED")?;
        for violation in violations.iter().take(VIOLATIONS_PRINTED) {
            writeln!(f, "  {violation}")?;
        }
        match violations.len().saturating_sub(VIOLATIONS_PRINTED) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::{Rule, Victim, Violation};

    fn said(report: &Report) -> String {
        let said = report.to_string();
        let from = said.find("VERDICT").unwrap();
        said[from..].to_owned()
    }

    #[test]
    fn the_verdict_is_the_last_word() {
        let mut report = Report::count(&[], Verdict::default());
        assert_eq!(said(&report), "VERDICT exact\n");
        report.verdict.violations = vec![Violation::new(Rule::Charge, "o1", "was never charged 70")];
        assert_eq!(said(&report), "VERDICT VIOLATED\n  o1 was never charged 70\n");
        report.verdict.violations = vec![report.verdict.violations[0].clone(); VIOLATIONS_PRINTED + 3];
        assert!(said(&report).ends_with("  and 3 more\n"));
    }

    #[test]
    fn a_fault_that_fell_beside_the_orders_is_told_with_the_verdict() {
        let mut report = Report::count(&[], Verdict::default());
        report.killed = Some(Killed { wanted: vec![Victim::Point], ..Killed::default() });
        assert!(report.is_beside() && said(&report).starts_with("VERDICT exact, but not everybody was killed"));
    }
}
