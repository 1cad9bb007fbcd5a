//! Who may know whom: between crates, and between the modules of one.

use super::names::names;
use super::tree::File;

const CRATES: &[&str] =
    &["proto", "kit", "bus", "promotion", "order", "point", "payment", "ranking", "booster", "trial"];
/// Crates whose modules have no doors and no nouns: every one of them only looks down.
const NOT_SERVICES: &[&str] = &["proto", "kit", "bus", "booster", "trial"];
/// Modules of a service from which on a module is no longer a noun.
const DOORS: &[&str] = &["kafka", "grpc"];

/// Which of our crates a crate may depend on, outside tests.
fn allowed(krate: &str) -> &'static [&'static str] {
    match krate {
        "proto" | "kit" => &[],
        "bus" => &["proto", "kit"],
        "trial" => &["proto", "kit"],
        "booster" => &["proto", "kit", "bus", "promotion", "order", "point", "payment", "ranking"],
        _service => &["proto", "kit", "bus"],
    }
}

/// No crate depends on one that it must not know.
pub fn crates(file: &File) -> Vec<String> {
    let (Some(krate), true) = (file.krate(), file.path.ends_with("/Cargo.toml")) else { return Vec::new() };
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if section == "[dependencies]" && CRATES.contains(&name) && !allowed(krate).contains(&name) {
            found.push(file.at(index + 1, &format!("{krate} must not know {name}")));
        }
    }
    found
}

/// A module names only modules that are declared after it. In a service, the nouns stand first, know nothing else, and
/// may be named from anywhere.
pub fn downward(file: &File) -> Vec<String> {
    let order = declared(&file.lib);
    let Some(room) = file.room().filter(|room| *room != "lib" && *room != "main") else { return Vec::new() };
    let Some(own) = order.iter().position(|module| module == room) else { return Vec::new() };
    let service = file.krate().is_some_and(|krate| !NOT_SERVICES.contains(&krate));
    let doors = order.iter().position(|module| DOORS.contains(&module.as_str()));
    let nouns = doors.filter(|_| service).unwrap_or(0);
    let mut found = Vec::new();
    for (line, text) in file.code() {
        for (index, module) in order.iter().enumerate() {
            let upward = index < own && index >= nouns;
            let noun_knows_more = own < nouns && index >= nouns;
            if (upward || noun_knows_more) && (names_module(text, module)) {
                found.push(file.at(line, &format!("{room} must not look up to {module} (see the order in lib.rs)")));
            }
        }
    }
    found
}

/// The modules of a `lib.rs`, in their order.
fn declared(lib: &str) -> Vec<String> {
    let lines = lib.lines().map(str::trim);
    let names = lines.filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// `crate::module` as a whole word, or inside `use crate::{...}`.
fn names_module(text: &str, module: &str) -> bool {
    let whole = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let direct = text.match_indices("crate::").any(|(at, _)| {
        let rest = &text[at + "crate::".len()..];
        rest.strip_prefix(module).is_some_and(whole)
    });
    let grouped = text.split_once("crate::{").is_some_and(|(_, group)| {
        group.split([',', '}']).any(|one| one.trim().strip_prefix(module).is_some_and(whole))
    });
    direct || grouped || (text.contains("crate::{") && names(text, module))
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn a_crate_that_knows_too_much_is_found() {
        let text =
            "[dependencies]\nbus.workspace = true\nkit.workspace = true\n[dev-dependencies]\ntrial.workspace = true\n";
        assert_eq!(crates(&file("crates/kit/Cargo.toml", text)).len(), 2);
        assert!(crates(&file("crates/promotion/Cargo.toml", text)).is_empty());
        let text = "[dependencies]\ntrial.workspace = true\n";
        assert_eq!(crates(&file("crates/booster/Cargo.toml", text)).len(), 1);
    }

    #[test]
    fn a_store_that_looks_up_is_found() {
        let mut store = file("crates/promotion/src/redis.rs", "use crate::claim::Claims;\nuse crate::deal::Deal;\n");
        store.lib = "pub mod deal;\npub mod grpc;\npub mod claim;\npub mod redis;\n".to_owned();
        assert_eq!(
            downward(&store),
            ["crates/promotion/src/redis.rs:1: redis must not look up to claim (see the order in lib.rs)"]
        );
        let mut noun = file("crates/promotion/src/deal/prize.rs", "use crate::{grpc, redis};\n");
        noun.lib = store.lib.clone();
        assert_eq!(downward(&noun).len(), 2);
        let mut door = file("crates/promotion/src/grpc/page.rs", "use crate::claim;\nuse crate::redis::Deals;\n");
        door.lib = store.lib;
        assert!(downward(&door).is_empty());
    }
}
