//! The log of the sandbox provider: what it has done, one JSON object a line, for ever.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Deed {
    /// The idempotency key of the charge: the order's id.
    pub(super) key: String,
    #[serde(rename = "deed")]
    pub(super) kind: Kind,
    /// In minor units.
    pub(super) amount: i64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    Charged,
    Declined,
    Voided,
    Refunded,
}

/// Every deed in the log, in its order. A line that is cut off at the end is still being written.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Deed>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the provider's log {}", path.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let deeds = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(number, line)| {
        let place = || format!("line {} of the provider's log {}: {line}", number + 1, path.display());
        serde_json::from_str(line).with_context(place)
    });
    deeds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_deed_and_one_that_is_cut_off_is_none_yet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let whole = r#"{"at_ms":1,"deed":"CHARGED","key":"o1","amount":70,"currency":"KRW","reference":"r"}"#;
        std::fs::write(&path, format!("{whole}\n{}", &whole[..20])).unwrap();
        assert_eq!(read(&path).unwrap(), [Deed { key: "o1".to_owned(), kind: Kind::Charged, amount: 70 }]);
        std::fs::write(&path, format!("{whole}\n{}\n", &whole[..20])).unwrap();
        assert!(read(&path).unwrap_err().to_string().starts_with("line 2 of the provider's log"));
        assert!(read(&directory.path().join("none")).is_err());
    }
}
