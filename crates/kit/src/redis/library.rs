//! Libraries of functions, and how they come to the nodes that run them.

use anyhow::Context as _;
use fred::clients::Client;
use fred::error::Error as RedisError;
use fred::interfaces::{ClusterInterface as _, FunctionInterface as _};
use fred::types::Value;
use fred::types::cluster::ClusterRouting;

/// A library of functions: its name carries its version, and so does the name of every function in it.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    /// As in `promotion_3`.
    pub name: &'static str,
    /// What stands behind the `#!lua` line, joined in this order.
    pub sources: &'static [&'static str],
}

impl Library {
    /// Loads it on every primary that answers. One that is away gets it when a call says that it is missing there.
    pub(super) async fn load_everywhere(&self, client: &Client) -> anyhow::Result<()> {
        let state = client.cached_cluster_state().context("the Redis Cluster has not told its slots")?;
        let mut loaded = 0;
        for server in state.unique_primary_nodes() {
            let outcome = client.with_cluster_node(&server).function_load::<Value, _>(true, self.code()).await;
            match outcome {
                Ok(_) => loaded += 1,
                Err(error) if is_refused(&error) => {
                    return Err(error).with_context(|| format!("Redis refuses the functions {}", self.name));
                }
                Err(error) => {
                    tracing::warn!(%server, library = self.name, cause = %error, "functions are not loaded there now");
                }
            }
        }
        anyhow::ensure!(loaded > 0, "no Redis primary takes the functions {}", self.name);
        Ok(())
    }

    /// Loads it on the primary that has `key`.
    pub(super) async fn load_for(&self, client: &Client, key: Option<&String>) -> Result<(), RedisError> {
        let state = client.cached_cluster_state();
        let slot = key.map(|key| ClusterRouting::hash_key(key.as_bytes()));
        let server = state.as_ref().zip(slot).and_then(|(state, slot)| state.get_server(slot));
        match server {
            Some(server) => {
                client.with_cluster_node(server).function_load::<Value, _>(true, self.code()).await.map(drop)
            }
            None => client.function_load_cluster::<Value, _>(true, self.code()).await.map(drop),
        }
    }

    /// The name carries the version, so what is replaced is the same code.
    fn code(&self) -> String {
        format!("#!lua name={}\n{}", self.name, self.sources.join("\n"))
    }
}

/// Whether Redis read the code and did not take it: another node would not take it either.
fn is_refused(error: &RedisError) -> bool {
    error.details().starts_with("ERR")
}
