//! A place of one's own on the real servers: a namespace for keys, topics and groups, and a database.

mod template;
mod database;
mod environment;
mod topics;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use kit::config::{Durability, Secret, Servers};

use database::Admin;
use environment::Environment;

/// A place of one's own. What it leaves behind when nobody calls [`Ground::end`], as after a failed test, is removed by
/// later grounds.
#[derive(Debug)]
pub struct Ground {
    servers: Servers,
    /// Of this ground's database.
    admin_url: Secret,
    /// Of the database that was there before.
    outside: Secret,
    database: String,
}

/// Connections of each pool, at most: tests run side by side, each with several services, and PostgreSQL has to open all of them.
const CONNECTIONS: u32 = 8;
/// How much of a test's name goes into names on the servers, in characters; a namespace has at most 32.
const NAME_LONGEST: usize = 20;

impl Ground {
    /// Makes one. `name` is for people who look at the servers; what makes it unique is added.
    ///
    /// # Panics
    ///
    /// The servers are not in the environment, or cannot be reached, or the migrations cannot be applied.
    pub async fn new(name: &str) -> Self {
        Self::make(name).await.unwrap_or_else(|why| panic!("there is no ground to test on: {why:#}"))
    }

    /// The servers, as a service is told of them: this namespace, this database.
    #[must_use]
    pub fn servers(&self) -> Servers {
        self.servers.clone()
    }

    /// This database, under the admin's role.
    #[must_use]
    pub fn admin_url(&self) -> Secret {
        self.admin_url.clone()
    }

    /// What stands before every key, topic and consumer group.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.servers.namespace
    }

    /// The name of this database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The same as an environment, for child processes.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let servers = &self.servers;
        let durability = match servers.durability {
            Durability::Fsync => "fsync",
            Durability::Memory => "memory",
        };
        let mut env = vec![
            (environment::REDIS_NODES, servers.redis_nodes.join(",")),
            (environment::KAFKA_BROKERS, servers.kafka_brokers.clone()),
            (environment::POSTGRES_URL, servers.postgres_url.expose().to_owned()),
            (environment::POSTGRES_ADMIN_URL, self.admin_url.expose().to_owned()),
            ("BOOSTER_POSTGRES_CONNECTIONS", servers.postgres_connections.to_string()),
            ("BOOSTER_NAMESPACE", servers.namespace.clone()),
            ("BOOSTER_DURABILITY", durability.to_owned()),
        ];
        env.extend(servers.redis_username.clone().map(|name| ("BOOSTER_REDIS_USERNAME", name)));
        let password = servers.redis_password.as_ref();
        env.extend(password.map(|password| ("BOOSTER_REDIS_PASSWORD", password.expose().to_owned())));
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Another ground with a copy of this one's database, as soon as nobody is connected to it. Keys in Redis are not copied,
    /// and the tables of the copy still belong to the services.
    ///
    /// # Panics
    ///
    /// Somebody stays connected, or the server cannot be reached.
    pub async fn copy(&self, name: &str) -> Self {
        let copy = self.try_copy(name).await;
        copy.unwrap_or_else(|why| panic!("there is no copy of {}: {why:#}", self.database))
    }

    async fn try_copy(&self, name: &str) -> anyhow::Result<Self> {
        let namespace = namespace(name);
        let database = database::name(&namespace, SystemTime::now());
        let mut admin = Admin::connect(&self.outside).await?;
        admin.copy_database(&self.database, &database).await?;
        admin.close().await?;
        let mut servers = self.servers.clone();
        servers.namespace = namespace;
        servers.postgres_url = environment::with_database(&servers.postgres_url, &database)?;
        let admin_url = environment::with_database(&self.outside, &database)?;
        Ok(Self { servers, admin_url, outside: self.outside.clone(), database })
    }

    /// Removes the database, whoever is still connected to it, and the topics: a broker that starts again opens every
    /// partition there is. Keys stay; nobody else has their names.
    pub async fn end(self) {
        if let Ok(mut admin) = Admin::connect(&self.outside).await {
            // Best effort: a later ground removes what is left.
            let _ = admin.drop_database(&self.database, true).await;
        }
        // Best effort as well: where a test has hurt the broker, it goes with its data.
        let _ = topics::remove(&self.servers).await;
    }

    async fn make(name: &str) -> anyhow::Result<Self> {
        let Environment { mut servers, admin_url: outside } = Environment::read()?;
        let namespace = namespace(name);
        let database = database::name(&namespace, SystemTime::now());
        template::clone(&outside, &servers, &database).await?;
        servers.namespace = namespace;
        servers.postgres_connections = CONNECTIONS;
        servers.postgres_url = environment::with_database(&servers.postgres_url, &database)?;
        servers.check().context("the environment")?;
        let admin_url = environment::with_database(&outside, &database)?;
        Ok(Self { servers, admin_url, outside, database })
    }
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The test's name in the characters that are allowed everywhere, and something that nobody else has.
fn namespace(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().take(NAME_LONGEST).map(fits).collect();
    format!("{name}-{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_that_servers_take() {
        let namespace = namespace("A claim, after kill -9 of the promotion service");
        assert!(namespace.starts_with("a_claim__after_kill_-") && namespace.len() <= 32, "{namespace}");
    }
}
