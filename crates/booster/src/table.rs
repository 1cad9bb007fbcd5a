//! Tables for people, and for `awk`: one line each under a line of headings.

use crate::say::say;

/// Each column as wide as its widest value, the last as it comes; one may stand to the right.
pub(crate) fn table<const N: usize>(headings: [&str; N], right: Option<usize>, rows: &[[String; N]]) {
    let headings = headings.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let wide: [usize; N] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or_default());
    for row in all() {
        let cells = row.iter().enumerate().map(|(column, cell)| match wide[column] {
            _ if column + 1 == N => cell.clone(),
            wide if right == Some(column) => format!("{cell:>wide$}"),
            wide => format!("{cell:wide$}"),
        });
        say!("{}", cells.collect::<Vec<_>>().join("  "));
    }
}
