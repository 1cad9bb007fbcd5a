//! Where orders with kills take place: throwaway servers, the sandbox provider, every service as a process of its own, and nothing that
//! was there before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kit::config::Secret;

use super::{Victim, say};
use crate::orders::doors::Addresses;
use crate::process::{Child, Program};
use crate::provider::Provider;
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

/// Processes of order, so that one always answers.
const ORDERS: usize = 2;
/// How often a process that was killed is started until it is up, at most, and the pause in between.
const STARTS: u32 = 5;
const START_PAUSE: Duration = Duration::from_secs(1);
/// In the names of folders and logs below `target/trial`.
const NAME: &str = "orders";

impl Stage {
    /// Starts everything, and tells of it: it takes some twenty seconds.
    pub(super) async fn set(booster: Option<&Path>) -> anyhow::Result<Self> {
        let booster = find(booster)?;
        let start = || Private::try_start(NAME, |server| say(&format!("starting {server} of this run's own")));
        let servers = tokio::task::spawn_blocking(start).await.context("the servers cannot be started")??;
        let mut env = servers.env();
        say("starting the sandbox provider");
        let provider = Provider::try_start(NAME, &booster).await?;
        env.push(("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), provider.url().to_owned()));
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
        self.provider.log().to_owned()
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

    /// kill -9 of one victim by its pid, and waits until it is up again. Whoever does not reach his servers at the first try is started
    /// once more, as anybody who looks after processes would do.
    pub(super) async fn strike(&mut self, victim: Victim, number: usize) -> anyhow::Result<()> {
        let child = match victim {
            Victim::Order => &mut self.order[number],
            Victim::Point => &mut self.point,
            Victim::Payment => &mut self.payment,
        };
        child.check()?;
        for _ in 1..STARTS {
            match child.try_start_again().await {
                Ok(()) => return Ok(()),
                Err(why) => say(&format!("{victim} {number} is started once more: {}", first_line(&why))),
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        child.try_start_again().await
    }

    /// Nobody may have ended but by our hand.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let others = [&mut self.promotion, &mut self.ranking, &mut self.point, &mut self.payment];
        self.order.iter_mut().chain(others).try_for_each(Child::check)?;
        self.provider.check()
    }
}

fn first_line(why: &anyhow::Error) -> String {
    format!("{why:#}").lines().next().unwrap_or_default().to_owned()
}

fn program(booster: &Path, env: &[(String, String)], command: &str) -> Program {
    Program::new(&format!("{NAME}-{command}"), booster).args([command]).alone().envs(env.iter().cloned())
}
