//! What a rush is told.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use kit::config::Secret;

use super::Kill;

/// The size of a rush, and where it goes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the promotion service answers; given several times, the connections are spread over all of them
    #[arg(long = "addr", value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub addrs: Vec<String>,

    /// Bring throwaway servers and two promotion processes, and kill -9 one of these every few seconds, for as long as the
    /// rush lasts; booster audit has the last word
    #[arg(long, value_name = "WHAT", conflicts_with = "addrs")]
    pub kill: Option<Kill>,

    /// The booster executable that --kill runs; without it the one beside this program
    #[arg(long, value_name = "PATH", requires = "kill")]
    pub booster: Option<PathBuf>,

    /// Over how long the first claims are spread, as many as there are coupons, in waves of half a second; the others come
    /// all at once after that. Without it 0 s; with --kill promotion 15 s, with --kill redis 30 s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub spread: Option<Duration>,

    /// How many different users claim
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    pub users: u32,

    /// How many coupons there are
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    pub stock: u32,

    /// Connections over all addresses together
    #[arg(long, default_value_t = 8, value_name = "NUMBER")]
    pub connections: u32,

    /// Calls in flight on one connection at most
    #[arg(long, default_value_t = 64, value_name = "NUMBER")]
    pub in_flight: u32,

    /// The share of users who press the button twice; 0 to 1
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    pub again: f64,

    /// How often one claim is repeated at most while its outcome is open
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub retries: u32,

    /// How long one claim is repeated at most
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub patience: Duration,

    /// How long one call may take
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Duration,

    /// The deal to make; without it one with a random id
    #[arg(long, value_name = "ID")]
    pub deal: Option<String>,

    /// How long to wait in the end until PostgreSQL has everything
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub settle: Duration,

    /// The file that every answer is written to; without it target/trial/rush-DEAL.jsonl
    #[arg(long, value_name = "PATH")]
    pub journal: Option<PathBuf>,

    /// Where PostgreSQL is, to look there too and not only ask ListCoupons; {service} in it becomes promotion. With --kill
    /// it is its own
    #[arg(long, env = "BOOSTER_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    pub postgres_url: Option<Secret>,

    /// Decides the order of the claims, and what is killed when; without it a random one, which is printed
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Above it, neither the crowd nor its answers are sure to fit in memory.
const USERS_MOST: u32 = 10_000_000;

impl Args {
    /// Whether this can be worked with.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.addrs.is_empty(), "--addr is missing");
        ensure!((1..=USERS_MOST).contains(&self.users), "--users is {}; it is 1 to {USERS_MOST}", self.users);
        ensure!(self.stock >= 1, "--stock is 0");
        ensure!(self.connections >= 1, "--connections is 0");
        ensure!(self.in_flight >= 1, "--in-flight is 0");
        ensure!((0.0..=1.0).contains(&self.again), "--again is {}; it is from 0 to 1", self.again);
        ensure!(!self.timeout.is_zero(), "--timeout is 0");
        Ok(())
    }

    pub(super) fn spread(&self) -> Duration {
        self.spread.or(self.kill.map(Kill::spread)).unwrap_or_default()
    }

    pub(super) fn journal_path(&self, deal_id: &str) -> PathBuf {
        let default = || PathBuf::from(format!("target/trial/rush-{deal_id}.jsonl"));
        self.journal.clone().unwrap_or_else(default)
    }
}

impl Default for Args {
    /// What `trial rush` without flags does, the environment included.
    fn default() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            args: Args,
        }
        Alone::parse_from(["rush"]).args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_worked_with() {
        let args = Args::default();
        args.check().unwrap();
        assert_eq!((args.users, args.stock), (20_000, 1000));
        assert_eq!(args.journal_path("d1"), PathBuf::from("target/trial/rush-d1.jsonl"));
    }

    #[test]
    fn what_cannot_be_worked_with_is_one_sentence_that_names_the_flag() {
        let args = Args { again: 1.5, ..Args::default() };
        assert_eq!(args.check().unwrap_err().to_string(), "--again is 1.5; it is from 0 to 1");
    }
}
