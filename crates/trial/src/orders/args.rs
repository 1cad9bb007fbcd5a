//! What a run of orders is told.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use kit::config::Secret;

use super::{Share, Victim};

/// How many orders, what becomes of them, and where they go.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where every service answers; given several times, the connections are spread over all of them. Nobody is killed there.
    /// Without it the run brings servers, the sandbox provider and every service as processes of its own
    #[arg(long = "addr", value_name = "URL")]
    pub addrs: Vec<String>,

    /// How many orders are wanted
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    pub orders: u32,

    /// The share of orders that the provider declines
    #[arg(long, default_value = "10%", value_name = "SHARE")]
    pub declined: Share,

    /// The share of orders that the provider charges, and loses its answer
    #[arg(long, default_value = "5%", value_name = "SHARE")]
    pub dropped: Share,

    /// The share of orders that the provider charges only after its own time-out
    #[arg(long, default_value = "2%", value_name = "SHARE")]
    pub late: Share,

    /// The share of orders that their users cancel: at once, once they are paid, or while they are being made
    #[arg(long, default_value = "5%", value_name = "SHARE")]
    pub cancelled: Share,

    /// The share of orders with a coupon
    #[arg(long, default_value = "50%", value_name = "SHARE")]
    pub coupons: Share,

    /// The share of orders that use points
    #[arg(long, default_value = "50%", value_name = "SHARE")]
    pub points: Share,

    /// Connections to order, over all its addresses together
    #[arg(long, default_value_t = 8, value_name = "NUMBER")]
    pub connections: u32,

    /// Calls in flight on one connection at most
    #[arg(long, default_value_t = 16, value_name = "NUMBER")]
    pub in_flight: u32,

    /// Over how long the placing is spread; without it 0 s, and 60 s where somebody is killed
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub spread: Option<Duration>,

    /// How often one request is repeated at most while its outcome is open
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub retries: u32,

    /// How long one request is repeated at most
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub patience: Duration,

    /// How long one call may take
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Duration,

    /// How long after the last placing an order may still be on its way; one that takes longer is a violation
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub settle: Duration,

    /// Who is sent kill -9, again and again, until every order has ended: each holds its own relay and consumers
    #[arg(long, value_delimiter = ',', value_name = "SERVICES", conflicts_with = "addrs",
        default_values_t = [Victim::Order, Victim::Point, Victim::Payment])]
    pub kill: Vec<Victim>,

    /// From the moment when everything is up to the next kill, on average; 0s: nobody is killed
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration,
        conflicts_with = "addrs")]
    pub kill_every: Duration,

    /// The booster executable, for the processes of its own and for booster audit; without it the one beside this program
    #[arg(long, value_name = "PATH")]
    pub booster: Option<PathBuf>,

    /// The file that every answer is written to; without it target/trial/orders-RUN.jsonl
    #[arg(long, value_name = "PATH")]
    pub journal: Option<PathBuf>,

    /// Where PostgreSQL is; {service} in it becomes the service that is looked at. Without --addr it is the run's own
    #[arg(long, env = "BOOSTER_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    pub postgres_url: Option<Secret>,

    /// The log of the sandbox provider, which is held against the payments; without it (and with --addr) nobody looks there
    #[arg(long, value_name = "PATH")]
    pub provider_log: Option<PathBuf>,

    /// The time zone of the ranking's days, by its IANA name, as ranking was told
    #[arg(long, default_value = "Asia/Seoul", value_name = "NAME")]
    pub time_zone: String,

    /// Decides who orders what, and who is killed when; without it a random one, which is printed
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Above it, what was told and what is kept are not sure to fit in memory.
const ORDERS_MOST: u32 = 1_000_000;
/// Over how long orders are placed where somebody is killed meanwhile: everybody dies several times.
const KILL_SPREAD: Duration = Duration::from_secs(60);

impl Args {
    /// Whether this can be worked with.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!((1..=ORDERS_MOST).contains(&self.orders), "--orders is {}; it is 1 to {ORDERS_MOST}", self.orders);
        let charged = self.declined.value() + self.dropped.value() + self.late.value();
        ensure!(charged <= 1.0, "--declined, --dropped and --late are more than all orders together");
        ensure!(self.connections >= 1, "--connections is 0");
        ensure!(self.in_flight >= 1, "--in-flight is 0");
        ensure!(!self.timeout.is_zero(), "--timeout is 0");
        let is_known = self.addrs.is_empty() || self.postgres_url.is_some();
        ensure!(is_known, "--postgres-url is missing: what was told is held against what is kept there");
        Ok(())
    }

    /// Whether the run brings its own processes.
    pub(super) fn is_alone(&self) -> bool {
        self.addrs.is_empty()
    }

    /// Whether somebody is killed.
    pub(super) fn kills(&self) -> bool {
        self.is_alone() && !self.kill_every.is_zero() && !self.kill.is_empty()
    }

    pub(super) fn spread(&self) -> Duration {
        self.spread.unwrap_or(if self.kills() { KILL_SPREAD } else { Duration::ZERO })
    }

    pub(super) fn journal_path(&self, run: &str) -> PathBuf {
        self.journal.clone().unwrap_or_else(|| PathBuf::from(format!("target/trial/orders-{run}.jsonl")))
    }
}

impl Default for Args {
    /// What `trial orders` without flags does, the environment included.
    fn default() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            args: Args,
        }
        Alone::parse_from(["orders"]).args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_worked_with() {
        let args = Args::default();
        args.check().unwrap();
        assert!(args.is_alone() && args.kills());
        assert_eq!((args.orders, args.declined.of(100), args.spread()), (20_000, 10, KILL_SPREAD));
    }

    #[test]
    fn nobody_is_killed_at_an_address_or_without_a_pause() {
        let addrs = vec!["http://127.0.0.1:50051".to_owned()];
        assert!(!Args { addrs, ..Args::default() }.kills());
        let calm = Args { kill_every: Duration::ZERO, ..Args::default() };
        assert!(!calm.kills());
        assert_eq!(calm.spread(), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_worked_with_is_one_sentence_that_names_the_flag() {
        let whole: Share = "100%".parse().unwrap();
        let said = Args { declined: whole, ..Args::default() }.check().unwrap_err().to_string();
        assert_eq!(said, "--declined, --dropped and --late are more than all orders together");
        let addrs = vec!["http://127.0.0.1:50051".to_owned()];
        let said = Args { addrs, postgres_url: None, ..Args::default() }.check().unwrap_err().to_string();
        assert!(said.starts_with("--postgres-url is missing"), "{said}");
    }
}
