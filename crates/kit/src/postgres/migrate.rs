//! One schema and one role per service; a role sees only its own schema.

use std::str::FromStr as _;

use anyhow::{Context as _, ensure};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use crate::config::{Secret, Servers};

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

/// Brings one service's schema to this version: makes role and schema if missing, then runs what has not run yet.
/// Idempotent; two at the same time wait for each other.
///
/// # Errors
/// One sentence: the server cannot be reached, the admin may not do it, a migration failed or was changed after it ran.
pub async fn migrate(admin_url: &Secret, servers: &Servers, schema: &Schema) -> anyhow::Result<()> {
    let admin =
        PgConnectOptions::from_str(admin_url.expose()).context("--postgres-admin-url is not a PostgreSQL URL")?;
    let mut connection = admin
        .connect()
        .await
        .with_context(|| format!("cannot open PostgreSQL at {}:{}", admin.get_host(), admin.get_port()))?;
    let service = schema.service;
    ensure!(service.bytes().all(|byte| byte.is_ascii_lowercase()), "{service} is not a service's name");

    make_role(&mut connection, servers, service).await?;
    for statement in [
        format!("CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}"),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
        // The role owns its tables, so that it can make tomorrow's partitions itself.
        format!("SET ROLE {service}"),
        format!("SET search_path = {service}"),
        "SET lock_timeout = '5s'".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    run(&mut connection, schema.bus, format!("{service}.bus_migrations")).await?;
    run(&mut connection, schema.own, format!("{service}.migrations")).await?;
    connection.close().await?;
    Ok(())
}

/// Roles belong to the server, not to the database: several databases of one server share them.
async fn make_role(connection: &mut PgConnection, servers: &Servers, service: &str) -> anyhow::Result<()> {
    let url = servers.postgres_url_for(service);
    let own = url::Url::parse(url.expose()).context("--postgres-url is not a URL")?;
    if own.username() != service {
        // Somebody else made the roles, and knows their passwords.
        return Ok(());
    }
    let password = own.password().unwrap_or_default().replace('\'', "''");
    let login = if password.is_empty() { "LOGIN".to_owned() } else { format!("LOGIN PASSWORD '{password}'") };
    // The lock keeps two migrations of two databases from making the same role at once.
    let statement = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('booster roles'));
         DO $$ BEGIN
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{service}') THEN CREATE ROLE {service}; END IF;
         END $$;
         ALTER ROLE {service} {login};
         ALTER ROLE {service} SET search_path = {service};
         COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .with_context(|| format!("cannot make the role {service}: the admin needs CREATEROLE"))?;
    Ok(())
}

async fn run(connection: &mut PgConnection, migrator: &Migrator, table: String) -> anyhow::Result<()> {
    let mut own = Migrator::with_migrations(migrator.iter().cloned().collect());
    own.dangerous_set_table_name(table.clone());
    own.run(connection).await.with_context(|| format!("migrations recorded in {table}"))
}
