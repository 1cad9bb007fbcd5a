//! What is said to the provider, what it says, and what it writes down: JSON.

use serde::{Deserialize, Serialize};

/// `POST /v1/charges`: charge so much by this key, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The idempotency key: [A-Za-z0-9_-]{1,64}.
    pub key: String,
    /// In minor units, above zero.
    pub amount: i64,
    /// ISO 4217, three capital letters.
    pub currency: String,
    /// `sandbox`, or one that misbehaves: see the README.
    pub method: String,
}

/// What a key stands at. All but `UNKNOWN` are final, but that a charge may be refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Nothing has been decided of it.
    Unknown,
    /// Charged.
    Charged,
    /// Refused: it never will be charged.
    Declined,
    /// Ruled out: it never will be charged.
    Voided,
    /// Charged, and given back.
    Refunded,
}

/// The answer to every command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The key that was asked about.
    pub key: String,
    /// What it stands at.
    pub state: State,
    /// The provider's name of the charge, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// One line of the log: something that the provider has done, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What: never `UNKNOWN`.
    pub deed: State,
    /// By which key.
    pub key: String,
    /// How much was charged, declined or given back, in minor units; 0 of a void.
    pub amount: i64,
    /// Of this currency; empty of a void.
    pub currency: String,
    /// The provider's name of the charge, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
