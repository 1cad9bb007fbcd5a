//! The topics of a ground.

use std::time::Duration;

use kit::config::Servers;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

/// How long Kafka may take to name its topics.
const NAMES: Duration = Duration::from_secs(5);
/// How long it may take to note that some are to go.
const REMOVAL: Duration = Duration::from_secs(10);

/// Removes every topic of a namespace.
pub(super) async fn remove(servers: &Servers) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.kafka_brokers).create()?;
    let prefix = format!("{}.", servers.namespace);
    let (admin, names) = tokio::task::spawn_blocking(move || {
        let all = admin.inner().fetch_metadata(None, NAMES)?;
        let own = all.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with(&prefix));
        let names: Vec<String> = own.map(str::to_owned).collect();
        anyhow::Ok((admin, names))
    })
    .await??;
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        admin.delete_topics(&names, &AdminOptions::new().request_timeout(Some(REMOVAL))).await?;
    }
    Ok(())
}
