//! The Redis Cluster is hurt, or changed as an operator changes it: by `redis-cli`.

use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{BUS, Private, done, kill9, signal, wait_until};

/// Nodes of the cluster.
const NODES: u16 = 6;
/// Redis nodes that the cluster begins with as primaries: the first three.
pub const REDIS_PRIMARIES: u16 = 3;
/// Memory of each node.
pub(super) const MEMORY: &str = "64mb";
/// Between two keys of a slot that is moved: long enough that calls find it half here and half there.
const KEY_PAUSE: Duration = Duration::from_millis(20);
/// How long one key may take on its way, in milliseconds.
const KEY_LONGEST_MS: &str = "5000";

/// A primary of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id, as `CLUSTER MYID` says it.
    pub id: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// One line of `CLUSTER NODES`.
struct Known {
    node: Node,
    /// The id of its primary, or "-".
    of: String,
    slots: Vec<Range<u16>>,
}

impl Private {
    /// kill -9 of every Redis primary that the cluster began with.
    pub fn kill_redis_primaries(&self) {
        (0..REDIS_PRIMARIES).for_each(|primary| done(self.kill_redis_primary(primary)));
    }

    /// kill -9 of one Redis primary, by its number from 0.
    ///
    /// # Errors
    ///
    /// It does not run, or does not go.
    pub fn kill_redis_primary(&self, primary: u16) -> anyhow::Result<()> {
        let port = self.port + primary;
        kill9(&self.pid_file(port), [port, port + BUS])
    }

    /// Starts one Redis primary that died again, on its own disk, and waits until it answers.
    ///
    /// # Errors
    ///
    /// It does not, with what its script said.
    pub fn restart_redis_primary(&self, primary: u16) -> anyhow::Result<()> {
        self.script("redis", &["start-node", &self.place(), &(self.port + primary).to_string()])?;
        Ok(())
    }

    /// Starts the Redis nodes that died again, each on its own disk, and waits until the cluster is whole.
    pub fn restart_redis(&self) {
        done(self.script("redis", &["start", &self.place(), &self.port.to_string(), "--maxmemory", MEMORY]));
    }

    /// The node answers nothing, and its connections stay open.
    pub fn pause_redis(&self, node: &Node) {
        done(signal(&self.pid_file(node.port), "STOP"));
    }

    /// The node goes on after [`Self::pause_redis`].
    pub fn resume_redis(&self, node: &Node) {
        done(signal(&self.pid_file(node.port), "CONT"));
    }

    /// The primaries that serve slots now.
    #[must_use]
    pub fn primaries(&self) -> Vec<Node> {
        self.known().into_iter().filter(|known| !known.slots.is_empty()).map(|known| known.node).collect()
    }

    /// The primary that serves `key` now.
    ///
    /// # Panics
    ///
    /// Nobody serves it.
    #[must_use]
    pub fn serving(&self, key: &str) -> Node {
        let slot = self.slot(key);
        let found = self.known().into_iter().find(|known| known.slots.iter().any(|slots| slots.contains(&slot)));
        found.unwrap_or_else(|| panic!("nobody serves slot {slot} of {key}")).node
    }

    /// Every function of every library is gone on all primaries.
    pub fn flush_functions(&self) {
        for node in self.primaries() {
            self.cli(node.port, &["FUNCTION", "FLUSH"]);
        }
    }

    /// Every key of the node is gone.
    pub fn empty(&self, node: &Node) {
        self.cli(node.port, &["FLUSHALL"]);
    }

    /// No primary has room for anything new, until [`Self::free_memory`].
    pub fn fill_memory(&self) {
        for node in self.primaries() {
            self.cli(node.port, &["CONFIG", "SET", "maxmemory", "1mb"]);
        }
    }

    /// There is room again.
    pub fn free_memory(&self) {
        for node in self.primaries() {
            self.cli(node.port, &["CONFIG", "SET", "maxmemory", MEMORY]);
        }
    }

    /// How many entries the stream `key` holds.
    #[must_use]
    pub fn entries(&self, key: &str) -> usize {
        let said = self.cli(self.serving(key).port, &["XLEN", key]);
        said.parse().unwrap_or_else(|_| panic!("XLEN {key}: {said}"))
    }

    /// `CLUSTER FAILOVER` by hand: the replica of `node` takes its place. Answers the replica, once all know it.
    ///
    /// # Panics
    ///
    /// It has no replica, or it does not happen.
    #[must_use]
    pub fn fail_over(&self, node: &Node) -> Node {
        let replica = self.known().into_iter().find(|known| known.of == node.id).map(|known| known.node);
        let replica = replica.unwrap_or_else(|| panic!("{node:?} has no replica"));
        self.cli(replica.port, &["CLUSTER", "FAILOVER"]);
        let has_replaced = || {
            self.redis_ports().all(|port| {
                let known = self.known_by(port);
                known.iter().any(|known| known.node == replica && !known.slots.is_empty())
            })
        };
        done(wait_until(&format!("{replica:?} has replaced {node:?}"), has_replaced));
        replica
    }

    /// Moves the slot of `key` to another primary while the cluster works, key by key.
    pub fn move_slot(&self, key: &str, to: &Node) {
        let (slot, from) = (self.slot(key).to_string(), self.serving(key));
        self.cli(to.port, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id]);
        self.cli(from.port, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id]);
        loop {
            let key = self.cli(from.port, &["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            if key.is_empty() {
                break;
            }
            self.cli(from.port, &["MIGRATE", "127.0.0.1", &to.port.to_string(), &key, "0", KEY_LONGEST_MS]);
            std::thread::sleep(KEY_PAUSE);
        }
        // The new owner first: a slot must never belong to nobody.
        let others = self.primaries().into_iter().filter(|node| node != to).map(|node| node.port);
        for port in std::iter::once(to.port).chain(others) {
            self.cli(port, &["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]);
        }
    }

    pub(super) fn redis_ports(&self) -> Range<u16> {
        self.port..self.port + NODES
    }

    fn pid_file(&self, port: u16) -> PathBuf {
        self.folder.join(format!("redis/{port}/pid"))
    }

    fn slot(&self, key: &str) -> u16 {
        let said = self.cli(self.port, &["CLUSTER", "KEYSLOT", key]);
        said.parse().unwrap_or_else(|_| panic!("CLUSTER KEYSLOT {key}: {said}"))
    }

    /// The cluster as the first node that answers knows it.
    fn known(&self) -> Vec<Known> {
        self.known_by(self.port)
    }

    fn known_by(&self, port: u16) -> Vec<Known> {
        self.cli(port, &["CLUSTER", "NODES"]).lines().filter_map(known).collect()
    }

    /// Asks one node. `redis-cli` ends well also after an error of the server, which it prints.
    fn cli(&self, port: u16, args: &[&str]) -> String {
        let asked =
            Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port.to_string(), "-e"]).args(args).output();
        let output = asked.unwrap_or_else(|why| panic!("redis-cli: {why}"));
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        assert!(
            output.status.success(),
            "redis-cli -p {port} {args:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }
}

/// `<id> <host>:<port>@<bus> <flags> <primary> <ping> <pong> <epoch> <link> <slots> ...`; slots in brackets are on their way.
fn known(line: &str) -> Option<Known> {
    let words: Vec<&str> = line.split(' ').collect();
    let port = words.get(1)?.split('@').next()?.rsplit(':').next()?.parse().ok()?;
    let slots = words.get(8..).unwrap_or_default().iter().filter_map(|slots| {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        Some(first.parse().ok()?..last.parse::<u16>().ok()? + 1)
    });
    let node = Node { id: (*words.first()?).to_owned(), port };
    Some(Known { node, of: (*words.get(3)?).to_owned(), slots: slots.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_cluster_nodes_is_read() {
        let primary = known("aa 127.0.0.1:7001@7011 myself,master - 0 0 1 connected 0-5460 9000 [77->-bb]").unwrap();
        assert_eq!(primary.node, Node { id: "aa".to_owned(), port: 7001 });
        assert_eq!((primary.of.as_str(), primary.slots), ("-", vec![0..5461, 9000..9001]));
        let replica = known("bb 127.0.0.1:7004@7014,host slave aa 0 0 1 connected").unwrap();
        assert_eq!((replica.node.port, replica.of.as_str(), replica.slots), (7004, "aa", vec![]));
    }
}
