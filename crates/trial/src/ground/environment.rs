//! Where the servers are, by the environment that `scripts/test` exports.

use anyhow::{Context as _, ensure};
use clap::Parser;
use kit::config::{Secret, Servers};

/// Nodes of Redis.
pub(super) const REDIS_NODES: &str = "BOOSTER_REDIS_NODES";
/// Brokers of Kafka.
pub(super) const KAFKA_BROKERS: &str = "BOOSTER_KAFKA_BROKERS";
/// PostgreSQL, for services.
pub(super) const POSTGRES_URL: &str = "BOOSTER_POSTGRES_URL";
/// PostgreSQL, for whoever makes databases.
pub(super) const POSTGRES_ADMIN_URL: &str = "BOOSTER_POSTGRES_ADMIN_URL";

/// All of it.
pub(super) struct Environment {
    pub(super) servers: Servers,
    pub(super) admin_url: Secret,
}

/// What only the environment decides: a test has no flags.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    servers: Servers,
    #[arg(long, env = POSTGRES_ADMIN_URL, hide_env_values = true)]
    postgres_admin_url: Secret,
}

impl Environment {
    /// Refuses to fall back on the defaults: they may be the servers of somebody else.
    pub(super) fn read() -> anyhow::Result<Self> {
        for name in [REDIS_NODES, KAFKA_BROKERS, POSTGRES_URL, POSTGRES_ADMIN_URL] {
            let is_set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
            ensure!(is_set, "{name} is not set: run scripts/test, or scripts/up --servers and source .dev/env");
        }
        let flags = Flags::try_parse_from(["ground"]).context("the environment cannot be worked with")?;
        Ok(Self { servers: flags.servers, admin_url: flags.postgres_admin_url })
    }
}

/// The same server and role, another database. The rest of the URL stays as it is, `{service}` included.
pub(super) fn with_database(url: &Secret, database: &str) -> anyhow::Result<Secret> {
    let (scheme, rest) = url.expose().split_once("://").context("a PostgreSQL URL has no scheme")?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let server = place.split_once('/').map_or(place, |(server, _)| server);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{server}/{database}{query}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_is_replaced() {
        for (url, expected) in [
            ("postgres://{service}:pw@h:1/booster", "postgres://{service}:pw@h:1/mine"),
            ("postgres://u@h/booster?sslmode=disable", "postgres://u@h/mine?sslmode=disable"),
            ("postgres://u@h", "postgres://u@h/mine"),
        ] {
            let changed = with_database(&url.to_owned().into(), "mine").unwrap();
            assert_eq!(changed.expose(), expected);
        }
        assert!(with_database(&"h/booster".to_owned().into(), "mine").is_err());
    }
}
