//! Prepares the servers for this version. Idempotent: what is there already stays.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::journal::Keys;
use kit::config::{Secret, Servers};
use kit::redis::Redis;

use crate::say::say;
use crate::services::{SERVICES, Service};

/// Prepare the servers: schemas, roles, topics, Redis functions.
///
/// In PostgreSQL: a schema and a role for each service, and every migration that has not run yet. In Kafka: the topics. In
/// Redis: the functions, and the stamp that lets the nodes serve tags that no node has served yet. A tag that PostgreSQL
/// knows is never stamped again. May be run as often as one likes, also while the services run.
///
/// For an upgrade run that of the new version first, then restart the processes one by one: those of the version before go on
/// beside the newer tables. Where a newer version has been there it changes nothing and says so, with exit code 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    servers: Servers,
    /// Where Postgres is, as a role that may create roles and schemas; or file:PATH of a file that says so
    #[arg(long, env = "BOOSTER_POSTGRES_ADMIN_URL", hide_env_values = true, value_name = "URL")]
    postgres_admin_url: Secret,
    /// Prepare PostgreSQL, and leave Kafka and Redis alone
    #[arg(long)]
    postgres_only: bool,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.servers.check()?;
        if !self.postgres_only {
            // Nothing is changed anywhere before all of them answer.
            bus::topic::reach(&self.servers).await?;
            Redis::connect(&self.servers, 1, &[]).await?.close().await;
        }
        for Service { schema, .. } in SERVICES {
            kit::postgres::migrate(&self.postgres_admin_url, &self.servers, schema).await?;
            say!("postgres  schema and role {}", schema.service);
        }
        if self.postgres_only {
            return Ok(ExitCode::SUCCESS);
        }
        for service in SERVICES {
            if service.has_topic {
                self.make_topic(service.name()).await?;
            }
            self.load(service).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn make_topic(&self, service: &str) -> anyhow::Result<()> {
        let warning = bus::topic::make(&self.servers, service).await?;
        say!("kafka     topic {}", bus::topic::events(&self.servers, service));
        if let Some(warning) = warning {
            say!("kafka     note: {warning}");
        }
        Ok(())
    }

    /// The functions of a service, and the stamps of its journals.
    async fn load(&self, service: &Service) -> anyhow::Result<()> {
        if service.libraries.is_empty() {
            return Ok(());
        }
        let redis = Redis::connect(&self.servers, 1, service.libraries).await?;
        let names = service.libraries.iter().map(|library| library.name).collect::<Vec<_>>().join(", ");
        if service.has_journals {
            let pool = kit::postgres::connect(&self.servers, service.name()).await?;
            let keys = Keys::new(&self.servers, service.name());
            let stamped = bus::stamp::stamp(&redis, &pool, &keys).await.context("stamping the journals")?;
            say!("redis     functions {names}; {stamped} tags stamped");
        } else {
            say!("redis     functions {names}");
        }
        redis.close().await;
        Ok(())
    }
}
