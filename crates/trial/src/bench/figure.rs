//! A figure: a ratio of two rates that were measured side by side.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

/// A ratio, from several rounds. Unlike a rate, it can be held against that of another machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// `<bench>/<case>`, and what more is needed to tell it from others.
    pub name: String,
    /// The median of the rounds.
    pub ratio: f64,
    /// The smallest of the rounds.
    pub low: f64,
    /// The largest of the rounds.
    pub high: f64,
    /// How often it was measured.
    pub rounds: usize,
    /// What is divided by what.
    pub unit: String,
}

impl Figure {
    /// One figure from the ratios of all rounds; zeros where there are none.
    #[must_use]
    pub fn of(name: &str, unit: &str, ratios: &[f64]) -> Self {
        let mut sorted = ratios.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            name: name.to_owned(),
            ratio: median(&sorted),
            low: sorted.first().copied().unwrap_or_default(),
            high: sorted.last().copied().unwrap_or_default(),
            rounds: sorted.len(),
            unit: unit.to_owned(),
        }
    }
}

/// Writes figures as a table.
///
/// # Errors
/// Whoever is written to fails.
pub fn tabulate(f: &mut fmt::Formatter<'_>, figures: &[Figure]) -> fmt::Result {
    writeln!(f, "{:28} {:>7} {:>7} {:>7} {:>6}  what is divided by what", "ratio", "median", "low", "high", "rounds")?;
    for Figure { name, ratio, low, high, rounds, unit } in figures {
        writeln!(f, "{name:28} {ratio:7.2} {low:7.2} {high:7.2} {rounds:6}  {unit}")?;
    }
    Ok(())
}

/// The middle of sorted numbers, or the mean of the two in the middle.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (Some(before), Some(after)) if sorted.len().is_multiple_of(2) => f64::midpoint(*before, *after),
        (_, Some(middle)) => *middle,
        (_, None) => 0.0,
    }
}

/// Writes the figures of the benchmark `name` to `target/bench/<name>.json`, and says where that is.
///
/// # Errors
/// The file cannot be written.
pub fn write(name: &str, figures: &[Figure]) -> anyhow::Result<PathBuf> {
    let folder = crate::ground::root().join("target/bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(figures)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_and_its_spread() {
        let figure = Figure::of("claim/accepted", "a / b", &[0.7, 0.5, 0.9]);
        assert_eq!((figure.ratio, figure.low, figure.high, figure.rounds), (0.7, 0.5, 0.9, 3));
        assert_eq!(Figure::of("", "", &[1.0, 2.0, 4.0, 9.0]).ratio, 3.0);
        assert_eq!(Figure::of("", "", &[]).ratio, 0.0);
    }

    #[test]
    fn a_file_has_the_agreed_names() {
        let figures = serde_json::to_value([Figure::of("claim/repeat", "calls/s / calls/s", &[0.5])]).unwrap();
        let expected = serde_json::json!([{ "name": "claim/repeat", "ratio": 0.5, "low": 0.5, "high": 0.5,
            "rounds": 1, "unit": "calls/s / calls/s" }]);
        assert_eq!(figures, expected);
    }
}
