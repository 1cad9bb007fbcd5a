//! What happened, in numbers and a verdict.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Entry, Killed, Outcome, Verdict, told};

/// What happened.
#[derive(Debug)]
pub struct Report {
    /// How many coupons there were.
    pub stock: u32,
    /// Users who made an attempt.
    pub users: usize,
    /// Calls: one or two of each user, each of one or more attempts.
    pub calls: usize,
    /// From the first claim to the last answer.
    pub took: Duration,
    /// From the first claim to the last new coupon.
    pub given: Duration,
    /// From the first attempt to the definite answer of each call, in microseconds.
    pub waits: Histogram<u64>,
    /// Users who were told yes.
    pub winners: usize,
    /// Users whose last definite answer was that nothing is left.
    pub sold_out: usize,
    /// Answers that said: you hold it already.
    pub doubles: usize,
    /// Users who gave up without a definite answer.
    pub open: usize,
    /// Attempts whose outcome was unknown.
    pub unknown: usize,
    /// Attempts after the first one of a call.
    pub retried: usize,
    /// Coupons that `ListCoupons` shows.
    pub listed: usize,
    /// Coupons that PostgreSQL holds, if it was looked at.
    pub stored: Option<usize>,
    /// From the last answer until everything was in PostgreSQL; nothing when it was not waited for any longer.
    pub settled: Option<Duration>,
    /// What was killed meanwhile, with `--kill`.
    pub killed: Option<Killed>,
    /// Whether everything is as it must be.
    pub verdict: Verdict,
}

/// Violations that are printed; the journal shows the rest.
const VIOLATIONS_PRINTED: usize = 20;

impl Report {
    /// Counts what the answers say; everything else is still zero.
    pub(super) fn count(entries: &[Entry], verdict: Verdict) -> Self {
        let users = told(entries);
        let given = entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Ok { already_held: false, .. }));
        let attempts = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
        Self {
            stock: 0,
            users: users.len(),
            calls: attempts(|entry| entry.attempt == 1),
            took: Duration::ZERO,
            given: given.map(Entry::answered).max().unwrap_or_default(),
            waits: Histogram::new(3).expect("3 digits are in range"),
            winners: users.values().filter(|told| told.is_winner()).count(),
            sold_out: users.values().filter(|told| !told.is_winner() && told.is_sold_out()).count(),
            doubles: attempts(|entry| matches!(entry.outcome, Outcome::Ok { already_held: true, .. })),
            open: users.values().filter(|told| told.is_open()).count(),
            unknown: attempts(|entry| matches!(entry.outcome, Outcome::Unknown { .. })),
            retried: attempts(|entry| entry.attempt > 1),
            listed: 0,
            stored: None,
            settled: None,
            killed: None,
            verdict,
        }
    }

    /// Definite answers a second.
    #[must_use]
    pub fn claims_per_second(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// Whether something was to be killed, and that proves nothing: it was too little, or none of the callers noticed.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        self.killed.as_ref().is_some_and(|killed| !killed.is_enough() || self.unknown == 0)
    }

    fn wait_ms(&self, quantile: f64) -> f64 {
        self.waits.value_at_quantile(quantile) as f64 / 1000.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        writeln!(
            f,
            "claims      {} of {} users in {took:.2} s: {:.0} claims/s",
            self.calls,
            self.users,
            self.claims_per_second()
        )?;
        writeln!(
            f,
            "waited      p50 {:.1} ms, p99 {:.1} ms until the definite answer",
            self.wait_ms(0.5),
            self.wait_ms(0.99)
        )?;
        writeln!(f, "issued      {} of {}", self.stored.unwrap_or(self.listed), self.stock)?;
        writeln!(f, "sold out    {} users", self.sold_out)?;
        writeln!(f, "doubles     {} answers were the coupon held already", self.doubles)?;
        writeln!(f, "unknown     {} attempts; {} users gave up without an answer", self.unknown, self.open)?;
        writeln!(f, "retried     {} attempts", self.retried)?;
        match self.stored {
            Some(stored) => {
                writeln!(f, "kept        told {}, listed {}, in PostgreSQL {stored}", self.winners, self.listed)?;
            }
            None => writeln!(
                f,
                "kept        told {}, listed {}; judged by ListCoupons alone, without --postgres-url",
                self.winners, self.listed
            )?,
        }
        match self.settled {
            Some(settled) => writeln!(f, "settled     {:.2} s after the last answer", settled.as_secs_f64())?,
            None => writeln!(f, "settled     not within --settle")?,
        }
        if let Some(killed) = &self.killed {
            write!(f, "{killed}")?;
        }
        self.write_verdict(f)
    }
}

impl Report {
    /// The word VERDICT begins the last line, or the last but the violations.
    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = &self.verdict.violations;
        if self.verdict.is_exact() {
            let beside =
                if self.is_beside() { ", but the fault fell beside it: give it longer with --spread" } else { "" };
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
    use crate::rush::Kill;

    fn verdict(kills: usize, unknown: usize) -> (bool, String) {
        let audit = "1 deals, 0 coupons, 0 violations".to_owned();
        let killed = Some(Killed { what: Kill::Redis, kills, while_given: 0, audit });
        let report = Report { killed, unknown, ..Report::count(&[], Verdict::default()) };
        (report.is_beside(), report.to_string().lines().last().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_fault_that_fell_beside_the_rush_is_told_with_the_verdict() {
        assert_eq!(verdict(3, 1), (false, "VERDICT exact".to_owned()));
        for (kills, unknown) in [(2, 1), (3, 0)] {
            let (is_beside, said) = verdict(kills, unknown);
            assert!(is_beside && said.starts_with("VERDICT exact, but the fault fell beside it"), "{said}");
        }
    }
}
