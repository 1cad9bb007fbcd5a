//! Where a rush with kills takes place: throwaway servers, two promotion processes, and nothing that was there before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use kit::config::Secret;

use super::audit::Audit;
use super::{Kill, say};
use crate::process::{Child, Program};
use crate::servers::{Private, REDIS_PRIMARIES};

/// All that a rush needs. Gone when dropped: first the processes, then the servers.
pub(super) struct Stage {
    processes: Vec<Child>,
    servers: Arc<Private>,
    booster: PathBuf,
}

/// Promotion processes, so that one always answers.
pub(super) const PROCESSES: usize = 2;
/// Redis primaries that may be killed.
pub(super) const PRIMARIES: usize = REDIS_PRIMARIES as usize;
/// In the names of folders and logs below `target/trial`.
const NAME: &str = "rush";

impl Stage {
    /// Starts everything, and tells of it: it takes some fifteen seconds.
    pub(super) async fn set(booster: Option<&Path>) -> anyhow::Result<Self> {
        let booster = find(booster)?;
        let start = || Private::try_start(NAME, |server| say(&format!("starting {server} of this rush's own")));
        let servers = tokio::task::spawn_blocking(start).await.context("the servers cannot be started")??;
        let mut stage = Self { processes: Vec::new(), servers: Arc::new(servers), booster };
        say("booster migrate");
        let migrated = stage.program("migrate").run().await?;
        ensure!(migrated.status.success(), "booster migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        for number in 0..PROCESSES {
            say(&format!("starting promotion process {number}"));
            let process = stage.program("promotion").try_start().await?;
            stage.processes.push(process);
        }
        Ok(stage)
    }

    pub(super) fn addrs(&self) -> Vec<String> {
        self.processes.iter().map(Child::grpc_url).collect()
    }

    pub(super) fn postgres_url(&self) -> Secret {
        self.servers.postgres_url()
    }

    /// kill -9 of one victim by its pid, and waits until it is up again.
    pub(super) async fn strike(&mut self, what: Kill, victim: usize) -> anyhow::Result<()> {
        match what {
            Kill::Promotion => {
                self.processes[victim].check()?;
                self.processes[victim].try_start_again().await
            }
            Kill::Redis => {
                let (servers, primary) = (self.servers.clone(), u16::try_from(victim)?);
                let strike = move || {
                    servers.kill_redis_primary(primary)?;
                    servers.restart_redis_primary(primary)
                };
                tokio::task::spawn_blocking(strike).await.context("Redis cannot be killed and started again")?
            }
        }
    }

    /// `booster audit`, against everything that is kept here; and nobody may have ended but by our hand.
    pub(super) async fn audit(&mut self) -> anyhow::Result<Audit> {
        self.processes.iter_mut().try_for_each(Child::check)?;
        Ok(Audit::read(&self.program("audit").run().await?))
    }

    fn program(&self, command: &str) -> Program {
        Program::new(&format!("{NAME}-{command}"), &self.booster).args([command]).alone().envs(self.servers.env())
    }
}

/// The executable: the one that was named, or the one beside this program, where cargo puts it.
pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().context("this program does not know where it is")?.with_file_name("booster"),
    };
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    ensure!(
        path.is_file(),
        "there is no {}: build it with cargo build{release} -p booster, or say with --booster where it is",
        path.display()
    );
    Ok(path)
}
