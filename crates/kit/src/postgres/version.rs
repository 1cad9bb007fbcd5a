//! Whether the tables are those that this version of Booster works with. Migrations only go forward and only expand, so that
//! a rolling upgrade can migrate first: a process of the version before goes on beside newer tables, and one that is rolled
//! back starts beside them. What it cannot work with are tables that lack something.

use anyhow::{anyhow, bail, ensure};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::migrate::Schema;
use super::open::{open, place, words};
use crate::config::Servers;

/// Compares the tables of one service with what this version knows. Returns a sentence to pass on where they are those of a
/// newer Booster, which is no error.
///
/// # Errors
/// One sentence: PostgreSQL cannot be reached, or its tables are missing, or those of an older Booster.
pub async fn check(servers: &Servers, schema: &Schema) -> anyhow::Result<Option<String>> {
    let options = super::options(servers, schema.service)?;
    let mut connection = open(&options, "--postgres-url").await?;
    let at = place(&options);
    let mut newer = Vec::new();
    for (table, migrator) in schema.tables() {
        let Some(applied) = applied(&mut connection, &table).await? else { bail!(unprepared(&at, schema.service)) };
        let missing = without(known(migrator), &applied);
        ensure!(
            missing.is_empty(),
            "PostgreSQL at {at} has the tables of an older Booster ({} lacks {}): run `booster migrate` of this version first",
            spoken(&table),
            list(&missing)
        );
        let unknown = without(applied, &known(migrator).collect::<Vec<_>>());
        newer.extend((!unknown.is_empty()).then(|| format!("{} has {}", spoken(&table), list(&unknown))));
    }
    connection.close().await.map_err(|error| anyhow!("PostgreSQL at {at}: {}", words(&error)))?;
    Ok((!newer.is_empty()).then(|| {
        format!(
            "PostgreSQL at {at} has the tables of a newer Booster ({}); this version works with them, upgrade it when the \
             rest has been upgraded",
            newer.join(", ")
        )
    }))
}

/// Refuses to prepare tables that a newer Booster has prepared already.
///
/// # Errors
/// One sentence.
pub(super) async fn refuse_newer(connection: &mut PgConnection, at: &str, schema: &Schema) -> anyhow::Result<()> {
    for (table, migrator) in schema.tables() {
        let Some(applied) = applied(connection, &table).await? else { continue };
        let unknown = without(applied, &known(migrator).collect::<Vec<_>>());
        ensure!(
            unknown.is_empty(),
            "PostgreSQL at {at} was prepared by a newer Booster ({} has {}): there is nothing to migrate, this version \
             works with those tables as they are",
            spoken(&table),
            list(&unknown)
        );
    }
    Ok(())
}

/// What is said where nothing was prepared.
pub(super) fn unprepared(at: &str, service: &str) -> String {
    format!("PostgreSQL at {at} has no tables of {service}: run `booster migrate` first")
}

/// The versions that were applied, in their order; nothing where there is no such table.
async fn applied(connection: &mut PgConnection, table: &str) -> anyhow::Result<Option<Vec<i64>>> {
    let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(&mut *connection).await;
    if !there.map_err(|error| anyhow!("PostgreSQL cannot be asked about {table}: {}", words(&error)))? {
        return Ok(None);
    }
    let versions = format!("SELECT version FROM {table} ORDER BY version");
    let versions = sqlx::query_scalar(AssertSqlSafe(versions)).fetch_all(connection).await;
    Ok(Some(versions.map_err(|error| anyhow!("{table} cannot be read: {}", words(&error)))?))
}

fn known(migrator: &Migrator) -> impl Iterator<Item = i64> {
    migrator.iter().map(|migration| migration.version)
}

fn without(versions: impl IntoIterator<Item = i64>, others: &[i64]) -> Vec<i64> {
    versions.into_iter().filter(|version| !others.contains(version)).collect()
}

/// The name of a table as people say it.
fn spoken(table: &str) -> String {
    table.replace('"', "")
}

fn list(versions: &[i64]) -> String {
    versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
