//! Prepares the servers for this version. Idempotent: what is there already stays.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::journal::Keys;
use kit::config::{Secret, Servers};
use kit::postgres::Schema;
use kit::redis::{Library, Redis};
use sqlx::migrate::Migrator;

use crate::say::say;

static BUS: Migrator = sqlx::migrate!("../../migrations/bus");
static PROMOTION: Migrator = sqlx::migrate!("../../migrations/promotion");

/// What each service has in the servers.
pub(crate) static SERVICES: &[Service] = &[Service {
    schema: Schema { service: promotion::SERVICE, bus: &BUS, own: &PROMOTION },
    libraries: promotion::LIBRARIES,
    consumers: || promotion::consumers(&promotion::errand::Desk::default()),
}];

pub(crate) struct Service {
    schema: Schema,
    libraries: &'static [Library],
    consumers: fn() -> Vec<Consumer>,
}

/// Whether PostgreSQL has what this version needs of `service`. A sentence to pass on where a newer version has been there.
pub(crate) async fn check(servers: &Servers, service: &str) -> anyhow::Result<Option<String>> {
    match SERVICES.iter().find(|known| known.name() == service) {
        Some(known) => kit::postgres::check(servers, &known.schema).await,
        None => Ok(None),
    }
}

impl Service {
    /// As its role and its schema are called.
    pub(crate) fn name(&self) -> &'static str {
        self.schema.service
    }

    /// What it consumes.
    pub(crate) fn consumers(&self) -> Vec<Consumer> {
        (self.consumers)()
    }
}

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
        for Service { schema, libraries, .. } in SERVICES {
            let warning = bus::topic::make(&self.servers, schema.service).await?;
            say!("kafka     topic {}", bus::topic::events(&self.servers, schema.service));
            if let Some(warning) = warning {
                say!("kafka     note: {warning}");
            }
            self.stamp(schema.service, libraries).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn stamp(&self, service: &str, libraries: &[Library]) -> anyhow::Result<()> {
        let redis = Redis::connect(&self.servers, 1, libraries).await?;
        let pool = kit::postgres::connect(&self.servers, service).await?;
        let keys = Keys::new(&self.servers, service);
        let stamped = bus::stamp::stamp(&redis, &pool, &keys).await.context("stamping the journals")?;
        let names: Vec<_> = libraries.iter().map(|library| library.name).collect();
        say!("redis     functions {}; {stamped} tags stamped", names.join(", "));
        redis.close().await;
        Ok(())
    }
}
