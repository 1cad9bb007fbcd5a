//! One schema and one role per service; a role sees only its own schema.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use backon::{ExponentialBuilder, Retryable as _};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::open::{open, place, words};
use super::version::refuse_newer;
use crate::config::{Secret, Servers};
use crate::error::Invalid;

/// What a service keeps in PostgreSQL.
#[derive(Debug)]
pub struct Schema {
    /// The service's name: its schema, and its role.
    pub service: &'static str,
    /// The tables of the bus, made in every service's schema.
    pub bus: &'static Migrator,
    /// The service's own tables.
    pub own: &'static Migrator,
}

impl Schema {
    /// Where it is noted which migrations were applied, and which there are; in the order in which they are applied. Quoted like every
    /// name of a service: `order` is a word of SQL.
    pub(super) fn tables(&self) -> [(String, &'static Migrator); 2] {
        [
            (format!("\"{}\".bus_migrations", self.service), self.bus),
            (format!("\"{}\".migrations", self.service), self.own),
        ]
    }
}

/// Where the admin's URL comes from.
pub(super) const ADMIN_FLAG: &str = "--postgres-admin-url";

/// The first pause before a role that somebody else is changing is changed again. It doubles.
const ROLE_PAUSE: Duration = Duration::from_millis(10);
/// How often that is tried, at most: five seconds in all.
const ROLE_TRIES: usize = 8;

/// Brings one service's schema to this version: makes role and schema if missing, then runs what has not run yet.
/// Idempotent; two at the same time wait for each other.
///
/// # Errors
/// One sentence: the server cannot be reached, the admin may not do it, a migration failed or was changed after it ran, or a
/// newer Booster was here. In the last case nothing was changed.
pub async fn migrate(admin_url: &Secret, servers: &Servers, schema: &Schema) -> anyhow::Result<()> {
    let admin = super::parse(admin_url, ADMIN_FLAG)?;
    let mut connection = open(&admin, ADMIN_FLAG).await?;
    let service = schema.service;
    ensure!(service.bytes().all(|byte| byte.is_ascii_lowercase()), "{service} is not a service's name");

    refuse_newer(&mut connection, &place(&admin), schema).await?;
    make_role(&mut connection, servers, service).await?;
    for statement in [
        format!("CREATE SCHEMA IF NOT EXISTS \"{service}\" AUTHORIZATION \"{service}\""),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
        // The role owns its tables, so that it can make tomorrow's partitions itself.
        format!("SET ROLE \"{service}\""),
        format!("SET search_path = \"{service}\""),
        "SET lock_timeout = '5s'".to_owned(),
    ] {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await;
        done.map_err(|error| {
            anyhow!("the admin's role may not do this in PostgreSQL: {statement} ({})", words(&error))
        })?;
    }
    for (table, migrator) in schema.tables() {
        run(&mut connection, migrator, table).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Roles belong to the server, not to the database, and no lock is seen by two databases: where two of them make or alter the
/// same role at once, one is refused, and tries again.
async fn make_role(connection: &mut PgConnection, servers: &Servers, service: &str) -> anyhow::Result<()> {
    let url = servers.postgres_url_for(service);
    let own = url::Url::parse(url.expose()).map_err(|_| Invalid::new("--postgres-url", super::NOT_A_URL))?;
    if own.username() != service {
        // Somebody else made the roles, and knows their passwords.
        return Ok(());
    }
    let password = own.password().unwrap_or_default().replace('\'', "''");
    let login = if password.is_empty() { "LOGIN".to_owned() } else { format!("LOGIN PASSWORD '{password}'") };
    let statement = format!(
        "DO $$ BEGIN
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{service}') THEN CREATE ROLE \"{service}\"; END IF;
         END $$;
         ALTER ROLE \"{service}\" {login};
         ALTER ROLE \"{service}\" SET search_path = \"{service}\";"
    );
    let connection = tokio::sync::Mutex::new(connection);
    let make = async || sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut **connection.lock().await).await;
    let patience = ExponentialBuilder::default().with_jitter().with_min_delay(ROLE_PAUSE).with_max_times(ROLE_TRIES);
    let made = make.retry(patience).when(is_concurrent).await;
    made.map_err(|error| anyhow!("cannot make the role {service}: the admin needs CREATEROLE ({})", words(&error)))?;
    Ok(())
}

/// Whether somebody else has just changed the same role: "tuple concurrently updated" is an internal error to PostgreSQL.
fn is_concurrent(error: &sqlx::Error) -> bool {
    const CODES: [&str; 3] = ["XX000", "23505", "42710"];
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| CODES.contains(&&*code))
}

async fn run(connection: &mut PgConnection, migrator: &Migrator, table: String) -> anyhow::Result<()> {
    let mut own = Migrator::with_migrations(migrator.iter().cloned().collect());
    own.dangerous_set_table_name(table.clone());
    own.run(connection).await.map_err(|error| refused(&error, &table))
}

fn refused(error: &MigrateError, table: &str) -> anyhow::Error {
    if let MigrateError::VersionMismatch(version) = error {
        anyhow!(
            "migration {version} in {table} is not the one of this Booster: the database was prepared by another build; \
             migrate with that one, or prepare an empty database"
        )
    } else if let MigrateError::ExecuteMigration(error, version) = error {
        anyhow!("migration {version} of {table} failed, and nothing of it was kept ({})", words(error))
    } else {
        anyhow!("the migrations of {table} cannot be applied ({error})")
    }
}
