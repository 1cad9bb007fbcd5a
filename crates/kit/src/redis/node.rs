//! The nodes of the cluster, as it tells them itself.

use anyhow::Context as _;
use fred::clients::Client;
use fred::interfaces::ClusterInterface as _;

/// Flags of a node that cannot be asked now.
const AWAY: [&str; 4] = ["fail", "fail?", "noaddr", "handshake"];

/// One node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id: 40 hexadecimal digits, the same for as long as it keeps its disk.
    pub id: String,
    /// Its host.
    pub host: String,
    /// Its port for clients.
    pub port: u16,
    /// Whether it serves slots, or follows one that does.
    pub is_primary: bool,
    /// Whether the others cannot reach it.
    pub is_away: bool,
}

/// Every node that the cluster knows.
pub(super) async fn all(client: &Client) -> anyhow::Result<Vec<Node>> {
    let text: String = client.cluster_nodes().await.context("CLUSTER NODES")?;
    text.lines().map(|line| Node::parse(line).with_context(|| format!("CLUSTER NODES: {line}"))).collect()
}

impl Node {
    /// `<id> <host>:<port>@<bus port>[,<name>] <flags> ...`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, address, flags) = (words.next()?, words.next()?, words.next()?);
        let (host, port) = address.split('@').next()?.rsplit_once(':')?;
        let is = |flag: &str| flags.split(',').any(|one| one == flag);
        Some(Self {
            id: id.to_owned(),
            host: host.to_owned(),
            port: port.parse().ok()?,
            is_primary: is("master"),
            is_away: AWAY.into_iter().any(is),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_from_its_line() {
        let line = "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,hostname4 slave,fail? e7d1 0 14 4 connected";
        let node = Node::parse(line).unwrap();
        assert_eq!((node.host.as_str(), node.port, node.is_primary, node.is_away), ("127.0.0.1", 30_004, false, true));
        let line =
            "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 10.0.0.7:6379@16379 myself,master - 0 0 1 connected 0-5460";
        let node = Node::parse(line).unwrap();
        assert!(node.is_primary && !node.is_away && node.id.len() == 40);
        assert_eq!(Node::parse("nonsense"), None);
    }
}
