//! What may be called how, and who may name which library.

use super::tree::File;

const FORBIDDEN: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "shared", "misc", "manager", "managers", "mod.rs"];
/// Crates that are not services: the rules for doors and stores are not for them.
const NOT_SERVICES: &[&str] = &["proto", "kit", "bus", "booster", "trial"];
/// Which room of a service may name which library.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("fred", &["redis"]),
    ("sqlx", &["postgres"]),
    ("tonic", &["grpc"]),
    ("prost", &["grpc", "kafka"]),
    ("proto", &["grpc", "kafka"]),
    ("rdkafka", &[]),
];

/// No name that says nothing.
pub fn forbidden(file: &File) -> Vec<String> {
    let parts = file.path.split('/').map(|part| (part, part.split('.').next().unwrap_or(part)));
    parts
        .filter(|(part, stem)| FORBIDDEN.contains(part) || FORBIDDEN.contains(stem))
        .map(|(part, _)| file.at(1, &format!("{part} says nothing: name it after what it does")))
        .collect()
}

/// Migrations are numbered and say what they do.
pub fn migrations(file: &File) -> Vec<String> {
    let Some(name) = file.path.strip_prefix("migrations/").and_then(|path| path.split('/').nth(1)) else {
        return Vec::new();
    };
    let fits = name.split_once('_').is_some_and(|(number, words)| {
        number.len() == 4
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && words.strip_suffix(".sql").is_some_and(|words| {
                !words.is_empty() && words.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            })
    });
    if fits { Vec::new() } else { vec![file.at(1, "a migration is called 0001_words.sql")] }
}

/// Inside a service one room each names Redis, PostgreSQL and gRPC.
pub fn libraries(file: &File) -> Vec<String> {
    let service = file.krate().is_some_and(|krate| !NOT_SERVICES.contains(&krate));
    let (true, Some(room)) = (service, file.room()) else { return Vec::new() };
    let mut found = Vec::new();
    for (line, text) in file.code() {
        for (library, rooms) in LIBRARIES {
            if !rooms.contains(&room) && names(text, library) {
                let allowed = if rooms.is_empty() { "bus".to_owned() } else { rooms.join(".rs, ") + ".rs" };
                found.push(file.at(line, &format!("only {allowed} may name {library}")));
            }
        }
    }
    found
}

/// Tasks are spawned by kit, so that a drain waits for them.
pub fn spawning(file: &File) -> Vec<String> {
    if file.krate() == Some("kit") || !file.path.contains("/src/") {
        return Vec::new();
    }
    let spawns = file.code().filter(|(_, text)| text.contains("tokio::spawn(") || text.contains("task::spawn("));
    spawns.map(|(line, _)| file.at(line, "only kit spawns tasks: use Process::spawn")).collect()
}

/// Whether a line names a crate: `library::` that is not the end of another word or path.
pub fn names(text: &str, library: &str) -> bool {
    let needle = format!("{library}::");
    text.match_indices(&needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for path in ["crates/kit/src/utils.rs", "crates/kit/src/common/a.rs", "crates/kit/src/a/mod.rs"] {
            assert_eq!(forbidden(&file(path, "")).len(), 1, "{path}");
        }
        assert!(forbidden(&file("crates/kit/src/commonplace.rs", "")).is_empty());
    }

    #[test]
    fn a_migration_without_a_number_is_found() {
        assert!(migrations(&file("migrations/promotion/0001_deals.sql", "")).is_empty());
        for name in ["deals.sql", "1_deals.sql", "0001.sql", "0001_deals.txt"] {
            assert_eq!(migrations(&file(&format!("migrations/promotion/{name}"), "")).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_verb_that_names_a_store_is_found() {
        let text = "use sqlx::query;\n// tonic::Status\nlet a = crate::redis::x();\nfn f(e: fred::error::Error) {}\n";
        let found = libraries(&file("crates/promotion/src/claim/batch.rs", text));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(libraries(&file("crates/promotion/src/postgres/deal.rs", "use sqlx::query;")).is_empty());
        assert!(libraries(&file("crates/bus/src/relay.rs", "use sqlx::query;")).is_empty());
    }

    #[test]
    fn a_task_beside_the_drain_is_found() {
        assert_eq!(spawning(&file("crates/bus/src/relay.rs", "tokio::spawn(async {});")).len(), 1);
        assert!(spawning(&file("crates/kit/src/boot.rs", "tokio::spawn(async {});")).is_empty());
    }
}
