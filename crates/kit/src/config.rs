//! What a process is told: flag, environment variable, default and help of each setting, in one declaration. A service
//! adds flags of its own under its own name; what all share is here. Nothing is opened before all of it was checked.

use crate::error::Invalid;
use std::net::SocketAddr;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

mod secret;

pub use secret::Secret;

/// The servers that services keep their things in.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Servers")]
pub struct Servers {
    /// Nodes of the Redis Cluster to ask first for its map, separated by commas
    #[arg(long, env = "BOOSTER_REDIS_NODES", value_delimiter = ',', value_name = "HOST:PORT")]
    #[arg(default_value = "127.0.0.1:17001,127.0.0.1:17002,127.0.0.1:17003")]
    pub redis_nodes: Vec<String>,

    /// The Redis ACL user, if there is one
    #[arg(long, env = "BOOSTER_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,

    /// The Redis password, or file:PATH of a file that holds it
    #[arg(long, env = "BOOSTER_REDIS_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    pub redis_password: Option<Secret>,

    /// What an answer waits for
    #[arg(long, env = "BOOSTER_DURABILITY", value_enum, default_value_t = Durability::Fsync)]
    pub durability: Durability,

    /// Kafka brokers to ask first for the cluster, separated by commas
    #[arg(long, env = "BOOSTER_KAFKA_BROKERS", default_value = "127.0.0.1:19092", value_name = "HOST:PORT")]
    pub kafka_brokers: String,

    /// Where Postgres is, or file:PATH of a file that says so; {service} in it becomes the name of the service
    #[arg(long, env = "BOOSTER_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    #[arg(default_value = "postgres://{service}@127.0.0.1:15432/booster")]
    pub postgres_url: Secret,

    /// Connections to Postgres that a service opens at most
    #[arg(long, env = "BOOSTER_POSTGRES_CONNECTIONS", default_value_t = 16, value_name = "NUMBER")]
    pub postgres_connections: u32,

    /// Stands before every key, topic and consumer group; each needs a database of its own
    #[arg(long, env = "BOOSTER_NAMESPACE", default_value = "", value_name = "WORD")]
    pub namespace: String,
}

/// What an answer waits for before it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Until Redis has it on its disk: what was answered survives a power cut
    Fsync,
    /// Until Redis has it in memory: a killed Redis may forget its last second
    Memory,
}

/// The longest namespace, in characters.
const NAMESPACE_LONGEST: usize = 32;

impl Servers {
    /// Whether this can be worked with.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.redis_nodes.is_empty() {
            return Err(Invalid::new("--redis-nodes", "is empty"));
        }
        for node in self.redis_nodes.iter().map(String::as_str) {
            check_address("--redis-nodes", node)?;
        }
        for broker in self.kafka_brokers.split(',') {
            check_address("--kafka-brokers", broker)?;
        }
        let url = self.postgres_url.expose();
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(Invalid::new("--postgres-url", "does not begin with postgres://"));
        }
        if self.postgres_connections == 0 {
            return Err(Invalid::new("--postgres-connections", "is 0"));
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if self.namespace.len() > NAMESPACE_LONGEST || !self.namespace.chars().all(fits) {
            let description = format!("is {:?}; it is at most 32 of a-z, 0-9, _ and -", self.namespace);
            return Err(Invalid::new("--namespace", description));
        }
        Ok(())
    }

    /// Where Postgres is for `service`, which is also the name of its role there.
    #[must_use]
    pub fn postgres_url_for(&self, service: &str) -> Secret {
        self.postgres_url.expose().replace("{service}", service).into()
    }

    /// `name` of a key, topic or consumer group within this namespace: `t1.name`, or `name` where there is none.
    #[must_use]
    pub fn prefixed(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}.{name}", self.namespace) }
    }
}

/// All that a process needs to live, whichever service it is.
#[derive(Debug, Clone, clap::Args)]
pub struct ProcessArgs {
    /// Where it listens.
    #[command(flatten)]
    pub listen: Listen,
    /// What it tells.
    #[command(flatten)]
    pub telemetry: Telemetry,
    /// How it ends.
    #[command(flatten)]
    pub drain: Drain,
}

impl ProcessArgs {
    /// Whether this can be worked with.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        self.listen.check()?;
        self.telemetry.check()
    }
}

/// Where a process listens.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Listening")]
pub struct Listen {
    /// Where gRPC is answered; port 0 takes a free one
    #[arg(long, env = "BOOSTER_GRPC_ADDR", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub grpc_addr: SocketAddr,

    /// Where /metrics, /livez and /readyz are answered; port 0 takes a free one
    #[arg(long, env = "BOOSTER_ADMIN_ADDR", default_value = "127.0.0.1:9464", value_name = "ADDRESS")]
    pub admin_addr: SocketAddr,

    /// Listen beyond this host although nothing is encrypted and nobody is asked who he is
    #[arg(long, env = "BOOSTER_INSECURE")]
    pub insecure: bool,
}

impl Listen {
    /// Whether this can be worked with.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_reach("--grpc-addr", self.grpc_addr)?;
        self.check_reach("--admin-addr", self.admin_addr)
    }

    /// Whether a process may listen on `addr`, which came by `flag`: for a service with a door of its own.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag, when the address can be reached from other hosts and nothing allows that.
    pub fn check_reach(&self, flag: &'static str, addr: SocketAddr) -> Result<(), Invalid> {
        if self.insecure || addr.ip().is_loopback() {
            return Ok(());
        }
        let why = format!("is {addr}, which other hosts can reach without a certificate; --insecure allows that");
        Err(Invalid::new(flag, why))
    }
}

/// What a process tells about itself.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct Telemetry {
    /// How log lines are written
    #[arg(long, env = "BOOSTER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,

    /// Which log lines are written, as in info,promotion=debug
    #[arg(long, env = "BOOSTER_LOG", default_value = "info", value_name = "FILTER")]
    pub log_filter: String,

    /// Where traces go (OTLP over gRPC); without it none are made
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// The share of traces that is kept, of those that begin here; 0 to 1
    #[arg(long, env = "BOOSTER_TRACE_RATIO", default_value_t = 0.01, value_name = "SHARE")]
    pub trace_ratio: f64,

    /// The name under which its traces are found
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "booster", value_name = "NAME")]
    pub service_name: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Pretty,
    /// One JSON object a line, for machines
    Json,
}

impl Telemetry {
    /// Whether this can be worked with.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        if let Err(why) = EnvFilter::try_new(&self.log_filter) {
            return Err(Invalid::new("--log-filter", format!("is {:?}: {why}", self.log_filter)));
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            return Err(Invalid::new("--trace-ratio", format!("is {}; it is from 0 to 1", self.trace_ratio)));
        }
        match &self.otlp_endpoint {
            Some(url) if !url.starts_with("http://") => {
                Err(Invalid::new("--otlp-endpoint", format!("is {url:?}; it begins with http://")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// How a process ends.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Draining")]
pub struct Drain {
    /// How long the work in hand may take to end once told to; after it the process ends hard
    #[arg(long = "drain-grace", env = "BOOSTER_DRAIN_GRACE", default_value = "20s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub grace: Duration,

    /// How long to go on accepting after readiness is gone, for load balancers to notice; part of the grace
    #[arg(long = "drain-linger", env = "BOOSTER_DRAIN_LINGER", default_value = "0s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub linger: Duration,
}

fn check_address(flag: &'static str, address: &str) -> Result<(), Invalid> {
    let parts = address.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match parts {
        Some(_) => Ok(()),
        None => Err(Invalid::new(flag, format!("has {address:?}, which is not host:port"))),
    }
}

#[cfg(test)]
mod tests;
