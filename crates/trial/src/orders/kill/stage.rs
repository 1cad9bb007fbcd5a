//! Where orders with kills take place: throwaway servers, the sandbox provider, every service as a process of its own, and nothing that
//! was there before.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kit::config::Secret;

use super::{Victim, say};
use crate::orders::doors::Addresses;
use crate::process::{Child, Program};
use crate::rush::kill::stage::find;
use crate::servers::Private;

/// All that a run needs. Gone when dropped: first the processes, then the servers.
pub(super) struct Stage {
    promotion: Child,
    ranking: Child,
    order: Vec<Child>,
    point: Child,
    payment: Child,
    provider: Provider,
    booster: PathBuf,
    env: Vec<(String, String)>,
    servers: Private,
}

/// The sandbox provider. Killed when dropped.
struct Provider {
    process: tokio::process::Child,
    log: PathBuf,
    url: String,
}

/// Processes of order, so that one always answers.
const ORDERS: usize = 2;
/// In the names of folders and logs below `target/trial`.
const NAME: &str = "orders";
/// How long the provider may take until it listens, and how often it is looked at meanwhile.
const LISTENING: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Stage {
    /// Starts everything, and tells of it: it takes some twenty seconds.
    pub(super) async fn set(booster: Option<&Path>) -> anyhow::Result<Self> {
        let booster = find(booster)?;
        let start = || Private::try_start(NAME, |server| say(&format!("starting {server} of this run's own")));
        let servers = tokio::task::spawn_blocking(start).await.context("the servers cannot be started")??;
        let mut env = servers.env();
        say("starting the sandbox provider");
        let provider = Provider::start(&booster).await?;
        env.push(("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), provider.url.clone()));
        say("booster migrate");
        let migrated = program(&booster, &env, "migrate").run().await?;
        ensure!(migrated.status.success(), "booster migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        say("starting promotion, ranking, order twice, point and payment");
        let start = async |service: &str| program(&booster, &env, service).try_start().await;
        let (promotion, ranking) = (start("promotion").await?, start("ranking").await?);
        let mut order = Vec::new();
        for _ in 0..ORDERS {
            order.push(start("order").await?);
        }
        let (point, payment) = (start("point").await?, start("payment").await?);
        Ok(Self { promotion, ranking, order, point, payment, provider, booster, env, servers })
    }

    pub(super) fn addresses(&self) -> Addresses {
        let one = |child: &Child| vec![child.grpc_url()];
        Addresses {
            promotion: one(&self.promotion),
            order: self.order.iter().map(Child::grpc_url).collect(),
            point: one(&self.point),
            payment: one(&self.payment),
            ranking: one(&self.ranking),
        }
    }

    pub(super) fn postgres_url(&self) -> Secret {
        self.servers.postgres_url()
    }

    pub(super) fn provider_log(&self) -> PathBuf {
        self.provider.log.clone()
    }

    pub(super) fn booster(&self) -> PathBuf {
        self.booster.clone()
    }

    pub(super) fn env(&self) -> Vec<(String, String)> {
        self.env.clone()
    }

    /// Everybody who may be killed.
    pub(super) fn victims(&self) -> Vec<(Victim, usize)> {
        let orders = (0..self.order.len()).map(|number| (Victim::Order, number));
        orders.chain([(Victim::Point, 0), (Victim::Payment, 0)]).collect()
    }

    /// kill -9 of one victim by its pid, and waits until it is up again.
    pub(super) async fn strike(&mut self, victim: Victim, number: usize) -> anyhow::Result<()> {
        let child = match victim {
            Victim::Order => &mut self.order[number],
            Victim::Point => &mut self.point,
            Victim::Payment => &mut self.payment,
        };
        child.check()?;
        child.try_start_again().await
    }

    /// Nobody may have ended but by our hand.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let others = [&mut self.promotion, &mut self.ranking, &mut self.point, &mut self.payment];
        self.order.iter_mut().chain(others).try_for_each(Child::check)?;
        let ended = self.provider.process.try_wait()?;
        ensure!(ended.is_none(), "the sandbox provider has ended: {ended:?}");
        Ok(())
    }
}

impl Provider {
    async fn start(booster: &Path) -> anyhow::Result<Self> {
        let directory = crate::ground::root().join("target/trial");
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let name = format!("{NAME}-provider-{:08x}", rand::random::<u32>());
        let (log, output) = (directory.join(format!("{name}.jsonl")), directory.join(format!("{name}.log")));
        let file = std::fs::File::create(&output).with_context(|| output.display().to_string())?;
        let mut command = tokio::process::Command::new(booster);
        // With port 0 it takes a free one, and says on a line of its own where it is.
        command.args(["provider", "--addr", "127.0.0.1:0", "--log"]).arg(&log);
        for (told, _) in std::env::vars_os().filter(|(told, _)| told.to_string_lossy().starts_with("BOOSTER_")) {
            command.env_remove(told);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("cannot start {}", booster.display()))?;
        let mut provider = Self { process, log, url: String::new() };
        let begun = Instant::now();
        loop {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            if let Some(url) = said.lines().find(|line| line.starts_with("http://")) {
                url.clone_into(&mut provider.url);
                return Ok(provider);
            }
            let ended = provider.process.try_wait()?;
            ensure!(ended.is_none(), "the sandbox provider has ended: {ended:?}; see {}", output.display());
            ensure!(begun.elapsed() < LISTENING, "the sandbox provider does not listen; see {}", output.display());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn program(booster: &Path, env: &[(String, String)], command: &str) -> Program {
    Program::new(&format!("{NAME}-{command}"), booster).args([command]).alone().envs(env.iter().cloned())
}
