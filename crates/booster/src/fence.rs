//! `booster fence`: which Redis node may serve which tag.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Context as _;
use bus::fence::{self, State};
use bus::journal::{Keys, Tag};
use clap::builder::PossibleValuesParser;
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;

use crate::say::say;
use crate::services::{self, SERVICES, Service};

/// See and change which Redis node may serve which tag.
///
/// Each service keeps what it has in Redis under 64 tags, and each tag says which nodes may serve it: a node that was promoted,
/// emptied or moved to without leave answers FROZEN, because it may not have what another node has said yes to.
///
/// To move a slot on purpose: allow the node that it goes to, move the slot, then release the tag. After a failover by hand
/// (CLUSTER FAILOVER, which loses nothing; never FORCE or TAKEOVER): release each frozen tag. After the loss of a node's disk:
/// release; the tag then begins a new epoch, and its deals of before stay frozen.
#[derive(Debug, clap::Args)]
pub(crate) struct Fence {
    #[command(flatten)]
    servers: Servers,
    /// Whose tags
    #[arg(long, default_value = "promotion", value_name = "SERVICE", global = true)]
    #[arg(value_parser = PossibleValuesParser::new(with_journals()))]
    service: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show every tag: its node, its epoch, whether it is served; exit code 1 when one is not
    Show,
    /// Allow one more node to serve a tag, before its slot is moved there
    Allow {
        /// Which tag, 0 to 63
        #[arg(value_parser = tag)]
        tag: Tag,
        /// The node's id, as in CLUSTER NODES
        node: String,
    },
    /// Let the node that has a tag's slot now serve it, and no other
    Release {
        /// Which tags, 0 to 63
        #[arg(value_parser = tag, required = true, value_name = "TAG")]
        tags: Vec<Tag>,
    },
}

/// The others have no tags: they decide in PostgreSQL.
fn with_journals() -> Vec<&'static str> {
    SERVICES.iter().filter(|service| service.has_journals).map(Service::name).collect()
}

impl Fence {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.servers.check()?;
        if let Some(newer) = services::check(&self.servers, &self.service).await? {
            say!("fence      note: {newer}");
        }
        let pool = kit::postgres::connect(&self.servers, &self.service).await?;
        let redis = Redis::connect(&self.servers, 1, &[bus::redis::LIBRARY]).await?;
        let keys = Keys::new(&self.servers, &self.service);
        let code = match &self.command {
            Command::Show => show(&redis, &pool, &keys).await?,
            Command::Allow { tag, node } => {
                fence::allow(&redis, &pool, &keys, *tag, node).await?;
                say!("fence      tag {tag}: {node} may serve it too");
                ExitCode::SUCCESS
            }
            Command::Release { tags } => {
                for tag in tags {
                    release(&redis, &pool, &keys, *tag).await?;
                }
                ExitCode::SUCCESS
            }
        };
        redis.close().await;
        Ok(code)
    }
}

async fn release(redis: &Redis, pool: &Pool, keys: &Keys, tag: Tag) -> anyhow::Result<()> {
    let released = fence::release(redis, pool, keys, tag).await?;
    say!("fence      tag {tag}: {} may serve it, and no other; epoch {}", released.node_id, released.epoch);
    if released.raised {
        say!("fence      note: tag {tag} has begun a new epoch. The deals that it had before stay FROZEN");
    }
    Ok(())
}

async fn show(redis: &Redis, pool: &Pool, keys: &Keys) -> anyhow::Result<ExitCode> {
    let fences = fence::show(redis, pool, keys).await?;
    let nodes = redis.nodes().await?;
    let addresses: HashMap<&str, String> =
        nodes.iter().map(|node| (node.id.as_str(), format!("{}:{}", node.host, node.port))).collect();
    say!("tag  epoch  entries  {:40}  {:21}  state", "node", "address");
    for fence in &fences {
        let id = fence.node_id.as_deref().unwrap_or("-");
        let address = addresses.get(id).map_or("-", String::as_str);
        say!("{:3}  {:5}  {:7}  {id:40}  {address:21}  {}", fence.tag, fence.epoch, fence.entries, fence.state);
    }
    let closed = fences.iter().filter(|fence| fence.state != State::Open).count();
    say!("fence      {} tags, {closed} of them not as they should be", fences.len());
    Ok(if closed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tag(text: &str) -> anyhow::Result<Tag> {
    let number = text.parse().context("a tag is a number from 0 to 63")?;
    Tag::new(number).context("a tag is a number from 0 to 63")
}
