//! A word that must not be seen.

use clap::builder::ValueParserFactory;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::str::FromStr;

/// A secret: printed as `***`, wiped from memory when it goes. A value `file:/run/secrets/name` is read from that file,
/// without its last line break.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself. What calls this hands it to whom it is for, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for Secret {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(path) = text.strip_prefix("file:") else {
            return Ok(Self(text.into()));
        };
        let content = std::fs::read_to_string(path)?;
        Ok(Self(content.trim_end_matches(['\r', '\n']).into()))
    }
}

/// Without this clap would take a flag by `From<String>`, and never look into a file.
impl ValueParserFactory for Secret {
    type Parser = fn(&str) -> Result<Self, std::io::Error>;

    fn value_parser() -> Self::Parser {
        str::parse
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_seen() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn can_come_from_a_file() {
        let path = std::env::temp_dir().join(format!("kit-secret-{}", std::process::id()));
        std::fs::write(&path, "hunter3\n").unwrap();
        let secret: Secret = format!("file:{}", path.display()).parse().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.expose(), "hunter3");
        assert!("file:/nowhere/at/all".parse::<Secret>().is_err());
    }
}
