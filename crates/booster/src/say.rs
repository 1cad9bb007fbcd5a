//! Lines for the operator, on standard output.

use std::fmt;
use std::io::Write as _;

/// Writes one line. Where nobody reads any more, as behind `| head`, there is nobody to tell.
pub(crate) fn line(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes one line, as `println!` does, and does not panic where nobody reads it.
macro_rules! say {
    ($($line:tt)*) => { $crate::say::line(format_args!($($line)*)) };
}
pub(crate) use say;
