//! Processes that serve: one service, or all of them on one port.

use std::process::ExitCode;

use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};

/// What a process that serves is told. A service's own flags, once it has any, carry its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    servers: Servers,
}

impl Serve {
    /// Every service in one process.
    pub(crate) async fn all(self) -> anyhow::Result<ExitCode> {
        self.promotion().await
    }

    /// Promotion alone.
    pub(crate) async fn promotion(self) -> anyhow::Result<ExitCode> {
        // A wrong flag is said before anything is opened.
        self.servers.check()?;
        let process = Process::start(&self.process, proto::DESCRIPTORS).await?;
        if let Some(newer) = crate::migrate::check(&self.servers, promotion::SERVICE).await? {
            tracing::warn!("{newer}");
        }
        let repairs = vec![promotion::run(&self.servers, &process).await?];
        process.serve(bus::grpc::server(repairs));
        Ok(process.run_to_end().await)
    }
}
