//! Processes that serve: one service, or all of them on one port.

use std::process::ExitCode;

use bus::repair::Repair;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};

use crate::services::{self, Checked, Configs, SERVICES, Service};

/// What a process that serves is told; `C` are the flags of its service, which carry its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve<C: clap::Args> {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    config: C,
}

impl Serve<Configs> {
    /// Every service in one process.
    pub(crate) async fn all(self) -> anyhow::Result<ExitCode> {
        let names: Vec<&str> = SERVICES.iter().map(Service::name).collect();
        let process = self.begin(&names).await?;
        let (Configs { order, payment, ranking }, servers) = (&self.config, &self.servers);
        let repairs = vec![
            promotion::run(servers, &process).await?,
            order::run(order, servers, &process).await?,
            point::run(servers, &process).await?,
            payment::run(payment, servers, &process).await?,
            ranking::run(ranking, servers, &process).await?,
        ];
        Ok(end(process, repairs).await)
    }
}

impl Serve<()> {
    /// Promotion alone.
    pub(crate) async fn promotion(self) -> anyhow::Result<ExitCode> {
        let process = self.begin(&[promotion::SERVICE]).await?;
        let repair = promotion::run(&self.servers, &process).await?;
        Ok(end(process, vec![repair]).await)
    }

    /// Point alone.
    pub(crate) async fn point(self) -> anyhow::Result<ExitCode> {
        let process = self.begin(&[point::SERVICE]).await?;
        let repair = point::run(&self.servers, &process).await?;
        Ok(end(process, vec![repair]).await)
    }
}

impl Serve<order::Config> {
    /// Order alone.
    pub(crate) async fn order(self) -> anyhow::Result<ExitCode> {
        let process = self.begin(&[order::SERVICE]).await?;
        let repair = order::run(&self.config, &self.servers, &process).await?;
        Ok(end(process, vec![repair]).await)
    }
}

impl Serve<payment::Config> {
    /// Payment alone.
    pub(crate) async fn payment(self) -> anyhow::Result<ExitCode> {
        let process = self.begin(&[payment::SERVICE]).await?;
        let repair = payment::run(&self.config, &self.servers, &process).await?;
        Ok(end(process, vec![repair]).await)
    }
}

impl Serve<ranking::Config> {
    /// Ranking alone.
    pub(crate) async fn ranking(self) -> anyhow::Result<ExitCode> {
        let process = self.begin(&[ranking::SERVICE]).await?;
        let repair = ranking::run(&self.config, &self.servers, &process).await?;
        Ok(end(process, vec![repair]).await)
    }
}

impl<C: clap::Args + Checked> Serve<C> {
    /// Starts the process that these services run in. A wrong flag is said before anything is opened.
    async fn begin(&self, names: &[&str]) -> anyhow::Result<Process> {
        self.servers.check()?;
        self.config.check()?;
        let process = Process::start(&self.process, proto::DESCRIPTORS).await?;
        for name in names {
            if let Some(newer) = services::check(&self.servers, name).await? {
                tracing::warn!("{newer}");
            }
        }
        Ok(process)
    }
}

/// One service answers for the dead letters of all; then the process runs to its end.
async fn end(process: Process, repairs: Vec<Repair>) -> ExitCode {
    process.serve(bus::grpc::server(repairs));
    process.run_to_end().await
}
