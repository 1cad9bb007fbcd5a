//! How the provider misbehaves: for everybody, by switches; for one charge, by its method.

use std::time::{Duration, Instant};

use kit::error::Invalid;
use serde::{Deserialize, Serialize};

/// How everybody is treated. What is left out is off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Switches")]
pub struct Switches {
    /// How long every answer is held back after what was asked is done, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub delay_ms: u64,

    /// The share of charges that are declined, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub decline_ratio: f64,

    /// The share of requests that are answered 503, without anything done, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub error_ratio: f64,

    /// The share of requests that are done, and whose connection is dropped in place of an answer, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub drop_ratio: f64,

    /// Answer everything 503, without anything done
    #[arg(long)]
    pub down: bool,

    /// Be up for so long, then down for so long, and so on, in milliseconds; 0 for not at all
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub flapping_ms: u64,
}

impl Switches {
    /// Whether these can be.
    ///
    /// # Errors
    /// Names the one that is out of bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        let ratios =
            [("decline_ratio", self.decline_ratio), ("error_ratio", self.error_ratio), ("drop_ratio", self.drop_ratio)];
        match ratios.into_iter().find(|(_, ratio)| !(0.0..=1.0).contains(ratio)) {
            Some((name, ratio)) => Err(Invalid::new(name, format!("is {ratio}; it is from 0 to 1"))),
            None => Ok(()),
        }
    }

    /// Whether it is down, having been told these at `since`.
    pub(super) fn is_down(&self, since: Instant) -> bool {
        let half = Duration::from_millis(self.flapping_ms);
        let is_second_half = !half.is_zero() && (since.elapsed().as_millis() / half.as_millis()) % 2 == 1;
        self.down || is_second_half
    }

    /// How long answers are held back.
    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// How a charge is treated that comes with some method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Well.
    Plain,
    /// It is declined.
    Decline,
    /// It is decided only after a while.
    Delay,
    /// It is done, and the connection is dropped in place of an answer; of a key, the first time.
    Drop,
    /// It is answered 504, and charged some time after that; of a key, the first time.
    Late,
}

impl Method {
    /// What is not known is declined: whoever pays like that cannot.
    pub(super) fn read(text: &str) -> Self {
        match text {
            "sandbox" => Self::Plain,
            "sandbox:delay" => Self::Delay,
            "sandbox:drop" => Self::Drop,
            "sandbox:late" => Self::Late,
            _ => Self::Decline,
        }
    }
}
