//! Servers of a test's own, for tests that hurt them: a Redis Cluster, PostgreSQL and Kafka by `deploy/local/`, in a folder
//! below `target/trial`, on free ports. Gone when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kit::config::Secret;

/// Ports from which a free block is taken.
const PORTS: std::ops::Range<u16> = 21_000..29_000;
/// Ports of one test: Redis takes 16 from the first, PostgreSQL and Kafka follow.
const BLOCK: u16 = 20;
/// Where PostgreSQL and Kafka listen within the block.
const POSTGRES: u16 = 16;
const KAFKA: u16 = 17;

/// Servers of a test's own.
#[derive(Debug)]
pub struct Private {
    folder: PathBuf,
    port: u16,
    postgres_url: String,
    admin_url: String,
}

impl Private {
    /// Starts all three, and waits until they answer.
    ///
    /// # Panics
    ///
    /// One of them does not start, with what its script said.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let folder = crate::ground::root().join(format!("target/trial/{name}-{}", kit::id::fresh()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        let port = free_block();
        let mut servers = Self { folder, port, postgres_url: String::new(), admin_url: String::new() };
        servers.script("redis", &["start", &servers.place(), &port.to_string(), "--maxmemory", "64mb"]);
        servers.script("postgres", &["start", &servers.place(), &(port + POSTGRES).to_string()]);
        servers.script("kafka", &["start", &servers.place(), &(port + KAFKA).to_string()]);
        let urls = servers.script("postgres", &["urls", &servers.place()]);
        for line in String::from_utf8_lossy(&urls.stdout).lines() {
            match line.split_once('=') {
                Some(("BOOSTER_POSTGRES_URL", url)) => url.clone_into(&mut servers.postgres_url),
                Some(("BOOSTER_POSTGRES_ADMIN_URL", url)) => url.clone_into(&mut servers.admin_url),
                Some(_) | None => {}
            }
        }
        servers
    }

    /// As an environment, for child processes.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let nodes: Vec<_> = (self.port..self.port + 6).map(|port| format!("127.0.0.1:{port}")).collect();
        [
            ("BOOSTER_REDIS_NODES", nodes.join(",")),
            ("BOOSTER_KAFKA_BROKERS", format!("127.0.0.1:{}", self.port + KAFKA)),
            ("BOOSTER_POSTGRES_URL", self.postgres_url.clone()),
            ("BOOSTER_POSTGRES_ADMIN_URL", self.admin_url.clone()),
            ("BOOSTER_NAMESPACE", String::new()),
            ("BOOSTER_DURABILITY", "fsync".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Where PostgreSQL is, for a judge that looks there.
    #[must_use]
    pub fn postgres_url(&self) -> Secret {
        self.postgres_url.clone().into()
    }

    /// kill -9 of every Redis primary that the cluster began with.
    pub fn kill_redis_primaries(&self) {
        for port in self.port..self.port + 3 {
            kill9(&self.folder.join(format!("redis/{port}/pid")));
        }
    }

    /// Starts the Redis nodes that died again, each on its own disk.
    pub fn restart_redis(&self) {
        self.script("redis", &["start", &self.place(), &self.port.to_string(), "--maxmemory", "64mb"]);
    }

    /// PostgreSQL as after a crash: no shutdown, recovery at the start.
    pub fn crash_postgres(&self) {
        self.script("postgres", &["restart-immediate", &self.place()]);
    }

    /// kill -9 of Kafka.
    pub fn kill_kafka(&self) {
        kill9(&self.folder.join("kafka/pid"));
    }

    /// Starts Kafka again on its own disk.
    pub fn restart_kafka(&self) {
        self.script("kafka", &["start", &self.place(), &(self.port + KAFKA).to_string()]);
    }

    fn place(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    fn script(&self, server: &str, args: &[&str]) -> Output {
        let output = script(server, args);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "deploy/local/{server} {args:?}: {said}");
        output
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        for server in ["kafka", "postgres", "redis"] {
            // A server that a test has killed has nothing left to stop.
            let _ = script(server, &["stop", &self.place(), "--wipe"]);
        }
        // What is left of it is below `target/`.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn script(server: &str, args: &[&str]) -> Output {
    let path = crate::ground::root().join("deploy/local").join(server);
    let command = Command::new(&path).args(args).stdin(Stdio::null()).output();
    command.unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Line 1 of a pid file is the pid.
fn kill9(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let pid = text.lines().next().unwrap_or_default();
    let sent = Command::new("kill").args(["-9", pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -9 {pid}");
    // The port is free once the process is gone.
    let gone = || !Path::new("/proc").join(pid).join("exe").exists();
    for _ in 0..500 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{pid} does not go");
}

/// The first port of a block in which nobody listens.
fn free_block() -> u16 {
    let blocks = (PORTS.end - PORTS.start) / BLOCK;
    let first = rand::random_range(0..blocks);
    let candidates = (0..blocks).map(|block| PORTS.start + (first + block) % blocks * BLOCK);
    let mut free =
        candidates.filter(|port| (*port..port + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()));
    free.next().unwrap_or_else(|| panic!("no {BLOCK} free ports side by side in {PORTS:?}"))
}
