//! The databases of all grounds: their names, which tell their age, and the statements that make and remove them.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use kit::config::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

/// A connection that may make databases.
pub(super) struct Admin(PgConnection);

/// In the name of every database of a ground.
const PREFIX: &str = "ground_";
/// After it no test still runs, and what it left is removed.
const OLD: Duration = Duration::from_secs(3600);
/// Old databases that one ground removes at most: more than it makes, so that they become fewer, and few enough that
/// nobody waits for it.
const REMOVED_AT_ONCE: usize = 3;
/// How often a copy is tried while somebody is connected to the original, and the pause between.
const COPY_ATTEMPTS: u32 = 50;
const COPY_PAUSE: Duration = Duration::from_millis(100);

/// The name of a ground's database: when it was made, and the namespace.
pub(super) fn name(namespace: &str, now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{PREFIX}{seconds}_{namespace}")
}

impl Admin {
    pub(super) async fn connect(url: &Secret) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url.expose()).context("the admin URL is not a PostgreSQL URL")?;
        let options = options.application_name("booster-trial");
        let connection = options.connect().await.with_context(|| {
            let (host, port) = (options.get_host(), options.get_port());
            format!("PostgreSQL does not answer at {host}:{port}: run scripts/up --servers")
        })?;
        Ok(Self(connection))
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(self.0.close().await?)
    }

    /// Runs a statement that has no parameters, and no rows to read. Identifiers in it are ours.
    pub(super) async fn execute(&mut self, statement: String) -> anyhow::Result<()> {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut self.0).await;
        done.with_context(|| format!("PostgreSQL refused: {statement}"))?;
        Ok(())
    }

    pub(super) async fn exists(&mut self, database: &str) -> anyhow::Result<bool> {
        let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(database);
        Ok(found.fetch_optional(&mut self.0).await?.is_some())
    }

    /// Removes a database that may not be there. With `force` whoever is connected to it loses his connection, else it
    /// is refused while somebody is.
    pub(super) async fn drop_database(&mut self, database: &str, force: bool) -> anyhow::Result<()> {
        let force = if force { " WITH (FORCE)" } else { "" };
        self.execute(format!("DROP DATABASE IF EXISTS \"{database}\"{force}")).await
    }

    /// Copies a database, as soon as nobody is connected to it: a session that has just been closed takes a moment to end.
    pub(super) async fn copy_database(&mut self, from: &str, to: &str) -> anyhow::Result<()> {
        for _ in 1..COPY_ATTEMPTS {
            if self.execute(format!("CREATE DATABASE \"{to}\" TEMPLATE \"{from}\"")).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(COPY_PAUSE).await;
        }
        self.execute(format!("CREATE DATABASE \"{to}\" TEMPLATE \"{from}\"")).await
    }

    /// Removes some of what is old and what nobody uses. Best effort: another ground may be doing the same.
    pub(super) async fn remove_old(&mut self) {
        let names = self.names(PREFIX).await.unwrap_or_default();
        let old = names.iter().filter(|name| is_old(name, SystemTime::now()));
        for database in old.take(REMOVED_AT_ONCE) {
            let _ = self.drop_database(database, false).await;
        }
    }

    /// Names of databases that begin with `prefix`.
    pub(super) async fn names(&mut self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let names =
            sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1");
        Ok(names.bind(prefix).fetch_all(&mut self.0).await?)
    }
}

/// A name without a time, as that of a template, is never old.
fn is_old(database: &str, now: SystemTime) -> bool {
    let made = database.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
    made.is_some_and(|made| {
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(made);
        now.duration_since(made).is_ok_and(|age| age > OLD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_age() {
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let name = name("t-1", made);
        assert_eq!(name, "ground_1700000000_t-1");
        assert!(!is_old(&name, made + OLD));
        assert!(is_old(&name, made + OLD + Duration::from_secs(1)));
        assert!(!is_old("ground_template_0", made));
        assert!(!is_old("booster", made));
    }
}
