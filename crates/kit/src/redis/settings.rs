//! The settings without which a yes would not be durable, checked on every node.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, ConfigInterface as _};
use fred::types::config::{Server, ServerConfig};

use crate::config::{Durability, Servers};

/// Pause before a node that is set wrongly is looked at again.
const PAUSE: Duration = Duration::from_secs(1);

/// Checks every node of the cluster, replicas too: a replica's disk is where a primary moved on purpose will live.
pub(super) async fn check(client: &Client, servers: &Servers) -> anyhow::Result<()> {
    for node in super::node::all(client).await? {
        if node.is_away {
            // It cannot be asked now; it is asked when it comes back.
            tracing::warn!(
                host = node.host,
                port = node.port,
                "a Redis node is away, its settings are checked when it returns"
            );
            continue;
        }
        check_one(client, &node.host, node.port, servers.durability).await?;
    }
    Ok(())
}

/// Checks a node that has come back, again and again until it is set rightly: until then nothing is sent to it.
pub(super) async fn insist(client: &Client, server: &Server, durability: Durability) {
    let mut said = None;
    while let Err(error) = check_one(client, &server.host, server.port, durability).await {
        let cause = format!("{error:#}");
        if said.as_ref() != Some(&cause) {
            tracing::error!(cause, "a Redis node that came back is not used before it is set rightly");
            said = Some(cause);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn check_one(client: &Client, host: &str, port: u16, durability: Durability) -> anyhow::Result<()> {
    let mut config = client.client_config();
    config.server = ServerConfig::new_centralized(host, port);
    let node = super::builder(&config).build()?;
    let who = format!("the Redis node {host}:{port}");
    node.init().await.map_err(|error| anyhow!(super::remedy::sentence(&who, &error)))?;
    let outcome = compare(&node, &format!("{host}:{port}"), durability).await;
    // Whether this connection ends well changes nothing.
    let _ = node.quit().await;
    outcome
}

async fn compare(node: &Client, address: &str, durability: Durability) -> anyhow::Result<()> {
    let (name_of_it, append) = match durability {
        Durability::Fsync => ("fsync", "always"),
        Durability::Memory => ("memory", "everysec"),
    };
    let wanted = [
        ("appendonly", "yes"),
        ("appendfsync", append),
        ("no-appendfsync-on-rewrite", "no"),
        ("aof-load-truncated", "yes"),
        ("maxmemory-policy", "noeviction"),
        ("cluster-require-full-coverage", "no"),
        ("cluster-replica-no-failover", "yes"),
    ];
    for (name, value) in wanted {
        let found = setting(node, address, name).await?;
        if found != value {
            bail!(
                "the Redis node {address} has {name} {found}, and durability {name_of_it} needs {name} {value}: \
                 set it (CONFIG SET {name} {value}, and in its redis.conf)"
            );
        }
    }
    if setting(node, address, "maxmemory").await? == "0" {
        bail!(
            "the Redis node {address} has no maxmemory: set one below its machine's memory \
             (CONFIG SET maxmemory 2gb, and in its redis.conf), or it may be killed with claims unwritten"
        );
    }
    Ok(())
}

async fn setting(node: &Client, address: &str, name: &str) -> anyhow::Result<String> {
    let asked: Result<Vec<String>, _> = node.config_get(name).await;
    let pair = asked.map_err(|error| {
        let who = format!("the Redis node {address}, asked for its setting {name},");
        anyhow!(super::remedy::sentence(&who, &error))
    })?;
    pair.into_iter().nth(1).with_context(|| format!("the Redis node {address} does not know the setting {name}"))
}
