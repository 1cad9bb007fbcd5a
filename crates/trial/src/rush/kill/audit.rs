//! What `booster audit` said.

use std::process::Output;

use crate::rush::Violation;

/// Its last line, each line of its kind, and all that it found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) summary: String,
    pub(crate) summaries: Vec<String>,
    pub(crate) violations: Vec<Violation>,
}

/// How its lines begin.
const VIOLATION: &str = "violation ";
const SUMMARY: &str = "audit ";

impl Audit {
    /// An exit code other than 0 is always a violation, also where the audit could not say of what.
    pub(crate) fn read(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stdout);
        let told = |first: &str| said.lines().filter_map(|line| line.strip_prefix(first)).map(str::trim).collect();
        let found: Vec<&str> = told(VIOLATION);
        let mut violations: Vec<_> =
            found.into_iter().map(|line| Violation::Audited { said: line.to_owned() }).collect();
        if violations.is_empty() && !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            violations.push(Violation::Audited { said: format!("{}: {}", output.status, errors.trim()) });
        }
        let summaries: Vec<String> = told(SUMMARY).into_iter().map(str::to_owned).collect();
        let summary = summaries.last().cloned().unwrap_or_else(|| "said nothing".to_owned());
        Self { summary, summaries, violations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn read(code: i32, stdout: &str, stderr: &str) -> Audit {
        let status = ExitStatus::from_raw(code << 8);
        Audit::read(&Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn a_clean_audit_is_its_last_line() {
        let audit = read(0, "audit      2 items\naudit      1 deals, 3 coupons, 0 violations\n", "");
        assert_eq!(audit.summary, "1 deals, 3 coupons, 0 violations");
        assert_eq!((audit.summaries.len(), audit.violations.len()), (2, 0));
    }

    #[test]
    fn what_it_found_is_handed_on() {
        let audit = read(1, "violation  lunch: rank 2 is not in PostgreSQL\naudit      1 deals\n", "");
        let said = "lunch: rank 2 is not in PostgreSQL".to_owned();
        assert_eq!(audit.violations, [Violation::Audited { said }]);
    }

    #[test]
    fn an_audit_that_could_not_look_is_no_clean_one() {
        let audit = read(1, "", "Redis is away\n");
        assert_eq!(audit.violations, [Violation::Audited { said: "exit status: 1: Redis is away".to_owned() }]);
        assert_eq!(audit.summary, "said nothing");
    }
}
