//! Lines for the operator: answers on standard output, what else there is to know on standard error.

use std::fmt;
use std::io::Write as _;

/// Writes one line of an answer. Where nobody reads any more, as behind `| head`, there is nobody to tell; whoever goes on
/// for long finds out by the answer, `false`.
pub(crate) fn line(line: fmt::Arguments<'_>) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}

/// Writes one line that is no part of the answer.
pub(crate) fn aside(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "booster: {line}");
}

/// Writes one line, as `println!` does, and does not panic where nobody reads it.
macro_rules! say {
    ($($line:tt)*) => {{ $crate::say::line(format_args!($($line)*)); }};
}
pub(crate) use say;
