//! Refusals: each word that a service refuses with stands in the README, with what a client should do.

use std::collections::BTreeMap;

use super::tree::File;

/// Where the words are that every service has.
const OF_EVERY_SERVICE: &str = "crates/kit/src/error.rs";

/// Every difference between the table of the README and the code.
pub fn compare(tree: &[File], readme: &str) -> Vec<String> {
    let (said, rows) = (said(tree), rows(readme));
    let missing = said.iter().filter(|(word, _)| !rows.contains_key(*word));
    let mut found: Vec<String> =
        missing.map(|(word, at)| format!("{at}: {word} has no row in the table of refusals of README.md")).collect();
    let gone = rows.iter().filter(|(word, _)| !said.contains_key(*word));
    found.extend(gone.map(|(word, at)| format!("{at}: nothing in the code refuses with {word}")));
    found
}

/// Every reason of a refusal, and where it stands: the constants that all services share, and the words of each `fn reason`.
fn said(tree: &[File]) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for file in tree.iter().filter(|file| file.path.contains("/src/") && !file.path.ends_with("tests.rs")) {
        let is_shared = file.path == OF_EVERY_SERVICE;
        let mut inside = false;
        for (line, text) in file.code() {
            inside = (inside || text.contains("fn reason(")) && text != "    }";
            let before = if is_shared { "&str = \"" } else { "=> \"" };
            let word = text.split_once(before).and_then(|(_, rest)| rest.split('"').next());
            if let Some(word) = word.filter(|word| (inside || is_shared) && is_reason(word)) {
                said.insert(word.to_owned(), format!("{}:{line}", file.path));
            }
        }
    }
    said
}

/// The words in the first column of every table of the README whose head begins with `reason` and `code`.
fn rows(readme: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (index, line) in readme.lines().enumerate() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(first), Some(second)) = (cells.next(), cells.next()) else {
            inside = false;
            continue;
        };
        inside |= (first, second) == ("reason", "code");
        let words = first.split('`').filter(|word| inside && is_reason(word));
        rows.extend(words.map(|word| (word.to_owned(), format!("README.md:{}", index + 1))));
    }
    rows
}

fn is_reason(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    const README: &str =
        "\n| reason | code | retry? |\n|---|---|---|\n| `SOLD_OUT`, `INTERNAL` | X | no |\n\n| `C` | d | |\n";

    #[test]
    fn what_the_table_says_is_what_the_code_says() {
        let service = file(
            "crates/promotion/src/deal/refusal.rs",
            "    fn reason(&self) {\n        Self::SoldOut => \"SOLD_OUT\",\n    }\n    A => \"OTHER\",\n",
        );
        let every =
            file(OF_EVERY_SERVICE, "pub const INTERNAL: &str = \"INTERNAL\";\nconst WORDS: &str = \"an error\";\n");
        assert_eq!(compare(&[service, every], README), Vec::<String>::new());
    }

    #[test]
    fn a_refusal_without_a_row_and_a_row_without_a_refusal_are_found() {
        let service = file(
            "crates/promotion/src/deal/refusal.rs",
            "    fn reason(&self) {\n        Self::Closed => \"CLOSED\",\n    }\n",
        );
        let found = compare(&[service], README);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("CLOSED has no row"), "{found:?}");
    }
}
