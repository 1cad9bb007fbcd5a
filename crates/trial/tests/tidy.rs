//! The rules of the house, held by a test: who may name whom, what is called how, how long a file may be. Each rule is a
//! pure function over a file, and has a test of its own with a planted violation.

#[path = "tidy/direction.rs"]
mod direction;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/refusals.rs"]
mod refusals;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;

#[test]
fn the_house_is_tidy() {
    let tree = tree::read();
    assert!(tree.len() > 50, "the tree was not found: {} files", tree.len());
    let rules = [
        names::forbidden,
        names::migrations,
        names::libraries,
        names::spawning,
        direction::crates,
        direction::downward,
        shape::length,
        shape::lua,
        shape::unfinished,
    ];
    let found: Vec<String> = rules.iter().flat_map(|rule| tree.iter().flat_map(rule)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_metric_stands_in_the_readme() {
    let readme = std::fs::read_to_string(trial::ground::root().join("README.md")).unwrap_or_default();
    let found = metrics::compare(&tree::read(), &readme);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_refusal_stands_in_the_readme() {
    let readme = std::fs::read_to_string(trial::ground::root().join("README.md")).unwrap_or_default();
    let found = refusals::compare(&tree::read(), &readme);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
