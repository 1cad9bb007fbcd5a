//! The template: a database with all migrations applied, made once for each state of `migrations/` and copied by
//! PostgreSQL itself for each ground, which takes a tenth of a second.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kit::config::{Secret, Servers};
use kit::postgres::{Schema, migrate};
use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;

use super::database::Admin;
use super::{environment, root};

/// In the name of every template.
const PREFIX: &str = "ground_template_";
/// Locks of this server that only grounds know: held by one while it makes a template, by many while they copy one.
const LOCK: &str = "hashtext('booster trial template')";
/// Migrations of the bus, which every service's schema has; every other directory is a service.
const BUS: &str = "bus";

/// Makes `database`, a copy of the template for today's migrations; makes that first where it is missing.
pub(super) async fn clone(admin_url: &Secret, servers: &Servers, database: &str) -> anyhow::Result<()> {
    let migrations = root().join("migrations");
    let template = name(&migrations).with_context(|| format!("cannot read {}", migrations.display()))?;
    let mut admin = Admin::connect(admin_url).await?;
    loop {
        // The locks go with the connection, whatever happens before it is closed.
        admin.execute(format!("SELECT pg_advisory_lock_shared({LOCK})")).await?;
        if admin.exists(&template).await? {
            break;
        }
        admin.execute(format!("SELECT pg_advisory_unlock_shared({LOCK})")).await?;
        admin.execute(format!("SELECT pg_advisory_lock({LOCK})")).await?;
        if !admin.exists(&template).await? {
            make(&mut admin, admin_url, servers, &migrations, &template).await?;
        }
        admin.execute(format!("SELECT pg_advisory_unlock({LOCK})")).await?;
    }
    admin.execute(format!("CREATE DATABASE \"{database}\" TEMPLATE \"{template}\"")).await?;
    admin.execute(format!("SELECT pg_advisory_unlock_shared({LOCK})")).await?;
    admin.remove_old().await;
    admin.close().await
}

/// Under the lock, so nobody copies what is removed here, and nobody else makes the same.
async fn make(
    admin: &mut Admin,
    admin_url: &Secret,
    servers: &Servers,
    migrations: &Path,
    template: &str,
) -> anyhow::Result<()> {
    for outdated in admin.names(PREFIX).await? {
        // Somebody may be looking at it; then it stays.
        let _ = admin.drop_database(&outdated, false).await;
    }
    // It gets its name only when it is complete: one that was cut off is made anew.
    let unfinished = format!("{PREFIX}unfinished");
    admin.drop_database(&unfinished, true).await?;
    admin.execute(format!("CREATE DATABASE {unfinished}")).await?;
    let url = environment::with_database(admin_url, &unfinished)?;
    let bus = migrator(&migrations.join(BUS)).await?;
    for service in services(migrations)? {
        let own = migrator(&migrations.join(&service)).await?;
        let schema = Schema { service: service.leak(), bus, own };
        migrate(&url, servers, &schema).await?;
    }
    admin.execute(format!("ALTER DATABASE {unfinished} RENAME TO \"{template}\"")).await
}

/// Leaked, a few times in the life of a test: a [`Schema`] is meant for migrations that are part of the program, and
/// these are read at run time, so that no test runs on those of an older build.
async fn migrator(directory: &Path) -> anyhow::Result<&'static Migrator> {
    let migrator = Migrator::new(directory).await.with_context(|| format!("migrations in {}", directory.display()))?;
    Ok(Box::leak(Box::new(migrator)))
}

fn services(migrations: &Path) -> anyhow::Result<Vec<String>> {
    let mut services = Vec::new();
    for path in entries(migrations)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != BUS {
            services.push(name.to_owned());
        }
    }
    Ok(services)
}

/// The template's name says which migrations it has: every file, by name and content.
fn name(migrations: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for directory in entries(migrations)? {
        for file in entries(&directory)? {
            let content = std::fs::read(&file)?;
            let path = file.strip_prefix(migrations)?.to_string_lossy().into_owned();
            // Lengths first, so that no two sets of files read the same.
            hash.update(path.len().to_le_bytes());
            hash.update(path);
            hash.update(content.len().to_le_bytes());
            hash.update(content);
        }
    }
    let digits: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// What is in a directory, always in the same order.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let paths: Result<Vec<_>, _> = std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_migration_is_another_template() {
        let directory = std::env::temp_dir().join(format!("trial-{:016x}", rand::random::<u64>()));
        let file = directory.join("bus/0001_a.sql");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "SELECT 1").unwrap();
        let before = name(&directory).unwrap();
        assert_eq!(before, name(&directory).unwrap());
        std::fs::write(&file, "SELECT 2").unwrap();
        assert_ne!(before, name(&directory).unwrap());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
