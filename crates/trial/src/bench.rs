//! What every benchmark has in common: load, cases that are measured in turns, the CPU time of all who took part, ratios
//! that hold on any machine, and the file that they are written to.

mod cpu;
mod figure;
mod load;
mod rounds;

pub use cpu::{Spent, Watched, server_pid};
pub use figure::{Figure, tabulate, write};
pub use load::{Caller, Calls, Enough, closed, paced};
pub use rounds::{Rounds, Sample, per_second, quantile_ms};
