//! Our own processes, started for a test: on free ports, with a log file, killed by pid and never by name.

mod log;
mod ready;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};

/// What to start: a binary of this workspace, its arguments, its environment.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    /// Whether what this process was told in its environment is kept from it.
    is_alone: bool,
}

/// A process that runs, or has run. It is killed when it is dropped.
#[derive(Debug)]
pub struct Child {
    program: Program,
    /// Nothing once it has ended.
    running: Option<tokio::process::Child>,
    log: PathBuf,
    grpc_addr: SocketAddr,
    admin_addr: SocketAddr,
}

/// How long a process may take until it is ready.
const READY: Duration = Duration::from_secs(60);
/// How long a process may take to end after SIGTERM: longer than its own grace period.
const DRAINED: Duration = Duration::from_secs(60);
/// How long a process may take that is run to its end.
const ENDED: Duration = Duration::from_secs(300);
/// Any free port of this host.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Program {
    /// The binary at `path` (a test of its own crate finds it in `CARGO_BIN_EXE_<name>`); `name` is that of its log.
    #[must_use]
    pub fn new(name: &str, path: impl Into<PathBuf>) -> Self {
        Self { name: name.to_owned(), path: path.into(), args: Vec::new(), env: Vec::new(), is_alone: false }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds to the environment, as from [`Ground::env`](crate::ground::Ground::env); later ones win.
    #[must_use]
    pub fn envs(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// Keeps the `BOOSTER_*` variables of this process from it: it is told what [`Program::envs`] says, and no more.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// Starts it on free ports, and waits until `/readyz` says yes.
    ///
    /// # Panics
    ///
    /// It ended, or was not ready in time; with the end of its log.
    pub async fn start(self) -> Child {
        self.try_start().await.unwrap_or_else(|why| panic!("{why:#}"))
    }

    /// The same, where a failure is not the end.
    ///
    /// # Errors
    ///
    /// It ended, or was not ready in time; with the end of its log.
    pub async fn try_start(self) -> anyhow::Result<Child> {
        let log = log::path(&self.name)?;
        let mut child = Child { program: self, running: None, log, grpc_addr: ANY, admin_addr: ANY };
        child.try_start_again().await?;
        Ok(child)
    }

    /// Runs it to its end, and hands over what it said, whatever its exit code.
    ///
    /// # Errors
    ///
    /// It cannot be started, or did not end in time (then it is killed).
    pub async fn run(self) -> anyhow::Result<Output> {
        let ended = tokio::time::timeout(ENDED, self.command().output()).await;
        let ended = ended.with_context(|| format!("{} did not end within {} s", self.name, ENDED.as_secs()))?;
        ended.with_context(|| format!("cannot start {}", self.path.display()))
    }

    fn spawn(
        &self,
        log: &Path,
        grpc_addr: SocketAddr,
        admin_addr: SocketAddr,
    ) -> anyhow::Result<tokio::process::Child> {
        let file = log::append(log)?;
        let mut command = self.command();
        command
            .env("BOOSTER_GRPC_ADDR", grpc_addr.to_string())
            .env("BOOSTER_ADMIN_ADDR", admin_addr.to_string())
            .stdout(file.try_clone()?)
            .stderr(file);
        command.spawn().with_context(|| format!("cannot start {}", self.path.display()))
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.path);
        command.args(&self.args).stdin(Stdio::null()).kill_on_drop(true);
        let told = std::env::vars_os().map(|(name, _)| name);
        for name in told.filter(|name| self.is_alone && name.to_string_lossy().starts_with("BOOSTER_")) {
            command.env_remove(name);
        }
        // The addresses of a process are read from its log, hence its format; what a test says comes after that.
        command.env("BOOSTER_LOG", "info").env("BOOSTER_LOG_FORMAT", "json");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Child {
    /// Where it answers gRPC.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where it answers gRPC, as a URL.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc_addr)
    }

    /// Where it answers `/metrics`, `/livez` and `/readyz`.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(tokio::process::Child::id)
    }

    /// Why it does not run any more, where it was not ended by us.
    ///
    /// # Errors
    ///
    /// It has ended by itself, or by somebody else; with the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let status = self.running.as_mut().map(tokio::process::Child::try_wait).transpose()?.flatten();
        match status {
            Some(status) => bail!("{} ended with {status}\n{}", self.program.name, log::tail(&self.log)),
            None => Ok(()),
        }
    }

    /// The file with all that it said.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Kills it with SIGKILL, and waits until it is gone. Without effect when it has ended.
    pub async fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself in between, which is as good.
            let _ = running.kill().await;
        }
    }

    /// Sends SIGTERM, and waits for its exit code; nothing where a signal ended it.
    ///
    /// # Panics
    ///
    /// It has been ended before, or did not end in time (then it is killed).
    pub async fn stop(&mut self) -> Option<i32> {
        let ended = self.terminate().await;
        ended.unwrap_or_else(|why| panic!("{}: {why:#}\n{}", self.program.name, log::tail(&self.log))).code()
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub async fn signal(&self, name: &str) {
        self.send(name).await.unwrap_or_else(|why| panic!("{}: {why:#}", self.program.name));
    }

    /// Starts it once more after it was ended, at the addresses that it had, so that its clients find it again.
    ///
    /// # Panics
    ///
    /// It ended, or was not ready in time; with the end of its log.
    pub async fn start_again(&mut self) {
        self.try_start_again().await.unwrap_or_else(|why| panic!("{why:#}"));
    }

    /// The same, where a failure is not the end.
    ///
    /// # Errors
    ///
    /// It ended, or was not ready in time; with the end of its log.
    pub async fn try_start_again(&mut self) -> anyhow::Result<()> {
        self.kill9().await;
        let started = tokio::time::timeout(READY, self.start_and_wait()).await;
        let started = started.unwrap_or_else(|_| Err(anyhow!("it is not ready after {} s", READY.as_secs())));
        started.map_err(|why| anyhow!("{}: {why:#}\n{}", self.program.name, log::tail(&self.log)))
    }

    async fn start_and_wait(&mut self) -> anyhow::Result<()> {
        let written = log::length(&self.log);
        self.running = Some(self.program.spawn(&self.log, self.grpc_addr, self.admin_addr)?);
        loop {
            if let Some(log::Addresses { grpc, admin }) = log::addresses(&self.log, written) {
                (self.grpc_addr, self.admin_addr) = (grpc, admin);
                if ready::is_ready(admin).await {
                    return Ok(());
                }
            }
            if let Some(status) = self.ended()? {
                bail!("it ended with {status} before it was ready");
            }
            tokio::time::sleep(ready::ASK_EVERY).await;
        }
    }

    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let running = self.running.as_mut().context("it does not run")?;
        Ok(running.try_wait()?)
    }

    async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.send("TERM").await?;
        let mut running = self.running.take().context("it does not run")?;
        match tokio::time::timeout(DRAINED, running.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                running.kill().await?;
                bail!("it did not end within {} s of SIGTERM", DRAINED.as_secs())
            }
        }
    }

    /// To this pid only. A child that has ended but was not waited for still holds it, so this hits nobody else.
    async fn send(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("it does not run")?;
        let mut kill = tokio::process::Command::new("kill");
        let sent = kill.args(["-s", name, &pid.to_string()]).status().await.context("cannot run kill")?;
        ensure!(sent.success(), "kill -s {name} {pid} ended with {sent}");
        Ok(())
    }
}
