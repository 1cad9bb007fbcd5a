//! Metrics: what the README says of them is what the code has, and their names are such as Prometheus wants them.

use std::collections::BTreeMap;

use super::tree::File;

/// How a metric is made, and what the README calls that. What describes one does not make it.
const MACROS: [(&str, &str); 3] = [("counter!(", "counter"), ("gauge!(", "gauge"), ("histogram!(", "histogram")];
/// What the name of each of our metrics begins with.
const PREFIXES: [&str; 2] = ["booster_", "process_"];
/// Units that are written out: a name with one of these has another unit than it should have.
const NO_UNITS: [&str; 4] = ["_ms", "_millis", "_milliseconds", "_kib"];

/// A metric in the code, or a row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    at: String,
}

/// Every difference between the table of the README and the code.
pub fn compare(tree: &[File], readme: &str) -> Vec<String> {
    let (made, mut found) = made(tree);
    let rows = rows(readme);
    for (name, metric) in &made {
        match rows.get(name) {
            None => found.push(format!("{}: {name} has no row in the table of metrics of README.md", metric.at)),
            Some(row) if row.kind != metric.kind => {
                found
                    .push(format!("{}: README.md calls {name} a {}, and it is a {}", metric.at, row.kind, metric.kind));
            }
            Some(_) => {}
        }
    }
    let gone = rows.iter().filter(|(name, _)| !made.contains_key(*name));
    found.extend(gone.map(|(name, row)| format!("{}: there is no metric {name} in the code", row.at)));
    found
}

/// Every metric that the code makes, by its name, and what is wrong with how it is made.
fn made(tree: &[File]) -> (BTreeMap<String, Metric>, Vec<String>) {
    let (mut made, mut found) = (BTreeMap::new(), Vec::new());
    for file in tree.iter().filter(|file| file.path.contains("/src/") && file.path.ends_with(".rs")) {
        let lines: Vec<(usize, &str)> = file.code().collect();
        for (index, (line, text)) in lines.iter().enumerate() {
            for (call, kind) in MACROS {
                for (at, _) in text.match_indices(call).filter(|(at, _)| !text[..*at].ends_with("describe_")) {
                    // The name may stand on the next line.
                    let next = lines.get(index + 1).map_or("", |(_, next)| next);
                    let after = format!("{}{}", &text[at + call.len()..], next.trim_start());
                    let name = after.strip_prefix('"').and_then(|rest| rest.split('"').next());
                    let Some(name) = name else {
                        found.push(file.at(*line, "the name of a metric is written out, so that it can be found"));
                        continue;
                    };
                    found.extend(named(name, kind).map(|why| file.at(*line, &why)));
                    made.insert(name.to_owned(), Metric { kind: kind.to_owned(), at: format!("{}:{line}", file.path) });
                }
            }
        }
    }
    (made, found)
}

/// What is wrong with a name.
fn named(name: &str, kind: &str) -> Option<String> {
    if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        Some(format!("{name} begins with none of {PREFIXES:?}"))
    } else if name.ends_with("_total") != (kind == "counter") {
        Some(format!("{name} is a {kind}: the names of counters, and of nothing else, end in _total"))
    } else if NO_UNITS.iter().any(|unit| name.ends_with(unit)) {
        Some(format!("{name} is measured in seconds or bytes, and its name ends in that"))
    } else {
        None
    }
}

/// The rows of every table of the README whose head begins with `metric`, by the name of the metric.
fn rows(readme: &str) -> BTreeMap<String, Metric> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (index, line) in readme.lines().enumerate() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(first), Some(second)) = (cells.next(), cells.next()) else {
            inside = false;
            continue;
        };
        inside |= (first, second) == ("metric", "type");
        if let (true, Some(name)) = (inside, first.strip_prefix('`').and_then(|name| name.strip_suffix('`'))) {
            rows.insert(name.to_owned(), Metric { kind: second.to_owned(), at: format!("README.md:{}", index + 1) });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    const README: &str =
        "\n| metric | type | labels |\n|---|---|---|\n| `booster_a_total` | counter | `b` |\n\n| `c` | d | |\n";

    #[test]
    fn what_the_table_says_is_what_the_code_has() {
        let code =
            "describe_gauge!(\"booster_b\", \"words\");\nmetrics::counter!(\n    \"booster_a_total\", \"b\" => 1);\n";
        assert_eq!(compare(&[file("crates/bus/src/a.rs", code)], README), Vec::<String>::new());
    }

    #[test]
    fn a_metric_without_a_row_and_a_row_without_a_metric_are_found() {
        let code = [file("crates/bus/src/a.rs", "metrics::gauge!(\"booster_b\").set(1);\n")];
        let found = compare(&code, README);
        assert_eq!(
            found,
            [
                "crates/bus/src/a.rs:1: booster_b has no row in the table of metrics of README.md",
                "README.md:4: there is no metric booster_a_total in the code",
            ]
        );
    }

    #[test]
    fn a_wrong_type_a_wrong_name_and_a_name_that_cannot_be_found_are_found() {
        for (code, words) in [
            ("metrics::gauge!(\"booster_a_total\");\n", "a counter, and it is a gauge"),
            ("metrics::gauge!(\"booster_a_total\");\n", "end in _total"),
            ("metrics::counter!(\"a_total\");\n", "begins with none of"),
            ("metrics::histogram!(\"booster_a_ms\");\n", "ends in that"),
            ("metrics::counter!(NAME);\n", "is written out"),
        ] {
            let found = compare(&[file("crates/bus/src/a.rs", code)], README);
            assert!(found.iter().any(|why| why.contains(words)), "{code}: {found:?}");
        }
    }
}
