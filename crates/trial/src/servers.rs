//! Servers of a test's own, for tests that hurt them: a Redis Cluster, PostgreSQL and Kafka by `deploy/local/`, in a folder
//! below `target/trial`, on free ports. Gone when dropped.

mod kafka;
mod postgres;
mod redis;
mod room;

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kit::config::Secret;

pub use redis::{Node, REDIS_PRIMARIES};
use room::Room;

/// Ports from which a free block is taken.
const PORTS: std::ops::Range<u16> = 21_000..29_000;
/// Ports of one test: Redis takes 16 from the first, PostgreSQL and Kafka follow.
const BLOCK: u16 = 20;
/// Where PostgreSQL and Kafka listen within the block; Kafka's controller has the next port.
const POSTGRES: u16 = 16;
const KAFKA: u16 = 17;
/// From a Redis node's port to that of its cluster bus.
const BUS: u16 = 10;
/// How long something that was done to a server may take, and how often it is looked at meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Servers of a test's own.
#[derive(Debug)]
pub struct Private {
    folder: PathBuf,
    port: u16,
    postgres_url: String,
    admin_url: String,
    /// Given back when these servers are gone.
    _room: Room,
}

impl Private {
    /// Starts all three, and waits until they answer; before that, until there is room for them on this machine.
    ///
    /// # Panics
    ///
    /// One of them does not start, with what its script said.
    #[must_use]
    pub fn start(name: &str) -> Self {
        done(Self::try_start(name, |_| {}))
    }

    /// The same, which takes some ten seconds; `tell` is told of each server, before it is started.
    ///
    /// # Errors
    ///
    /// One of them does not start, with what its script said.
    pub fn try_start(name: &str, tell: impl Fn(&str)) -> anyhow::Result<Self> {
        let room = Room::wait();
        let folder = crate::ground::root().join(format!("target/trial/{name}-{}", kit::id::fresh()));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let port = free_block()?;
        let mut servers = Self { folder, port, postgres_url: String::new(), admin_url: String::new(), _room: room };
        tell("Redis Cluster");
        servers.script("redis", &["start", &servers.place(), &port.to_string(), "--maxmemory", redis::MEMORY])?;
        tell("PostgreSQL");
        servers.script("postgres", &["start", &servers.place(), &(port + POSTGRES).to_string()])?;
        tell("Kafka");
        servers.script("kafka", &["start", &servers.place(), &(port + KAFKA).to_string()])?;
        let urls = servers.script("postgres", &["urls", &servers.place()])?;
        for line in String::from_utf8_lossy(&urls.stdout).lines() {
            match line.split_once('=') {
                Some(("BOOSTER_POSTGRES_URL", url)) => url.clone_into(&mut servers.postgres_url),
                Some(("BOOSTER_POSTGRES_ADMIN_URL", url)) => url.clone_into(&mut servers.admin_url),
                Some(_) | None => {}
            }
        }
        Ok(servers)
    }

    /// As an environment, for child processes.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let nodes: Vec<_> = self.redis_ports().map(|port| format!("127.0.0.1:{port}")).collect();
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

    fn place(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    fn script(&self, server: &str, args: &[&str]) -> anyhow::Result<Output> {
        let output = script(server, args)?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "deploy/local/{server} {args:?}: {said}");
        Ok(output)
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

/// A test has no other way to go on.
fn done<T>(what: anyhow::Result<T>) -> T {
    what.unwrap_or_else(|why| panic!("{why:#}"))
}

/// In a process group of its own: Ctrl-C ends who asked for the servers, and must not cut off a script in between, before
/// it has written down which process it started.
fn script(server: &str, args: &[&str]) -> anyhow::Result<Output> {
    let path = crate::ground::root().join("deploy/local").join(server);
    let command = Command::new(&path).args(args).stdin(Stdio::null()).process_group(0).output();
    command.with_context(|| path.display().to_string())
}

/// Line 1 of a pid file is the pid.
fn signal(file: &Path, name: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let pid = text.lines().next().unwrap_or_default().to_owned();
    let sent = Command::new("kill").args(["-s", name, &pid]).status().context("cannot run kill")?;
    ensure!(sent.success(), "kill -s {name} {pid} ended with {sent}");
    Ok(pid)
}

/// SIGKILL. Waits until the process is gone and its ports are free: they are given back a little later, and who starts it
/// again at once must not find them taken.
fn kill9(file: &Path, ports: [u16; 2]) -> anyhow::Result<()> {
    let pid = signal(file, "KILL")?;
    let is_gone = || !Path::new("/proc").join(&pid).join("exe").exists() && ports.into_iter().all(is_free);
    wait_until(&format!("{pid} is gone, and {ports:?} are free"), is_gone)
}

/// Looks until it is so, at most [`LONGEST_WAIT`].
fn wait_until(what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_so() {
        ensure!(begun.elapsed() < LONGEST_WAIT, "not after {LONGEST_WAIT:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// The first port of a block in which nobody listens.
fn free_block() -> anyhow::Result<u16> {
    let blocks = (PORTS.end - PORTS.start) / BLOCK;
    let first = rand::random_range(0..blocks);
    let candidates = (0..blocks).map(|block| PORTS.start + (first + block) % blocks * BLOCK);
    let mut free = candidates.filter(|port| (*port..port + BLOCK).all(is_free));
    free.next().with_context(|| format!("no {BLOCK} free ports side by side in {PORTS:?}"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
