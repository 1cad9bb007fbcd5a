//! Processes that serve: one service, or all of them on one port.

use std::process::ExitCode;

use kit::boot::Process;
use kit::config::ProcessArgs;

/// Run every service in one process.
///
/// Every gRPC service, reflection and grpc.health.v1 answer on one port. On SIGTERM: not ready, no more connections, what
/// was begun is finished, exit code 0; a second signal ends it hard.
#[derive(Debug, clap::Args)]
pub(crate) struct All {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    promotion: promotion::Config,
}

/// Run promotion: time deals and first-come coupons.
///
/// On SIGTERM: not ready, no more connections, what was begun is finished, exit code 0; a second signal ends it hard.
#[derive(Debug, clap::Args)]
pub(crate) struct Promotion {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    promotion: promotion::Config,
}

impl All {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let process = Process::start(&self.process, proto::DESCRIPTORS).await?;
        promotion::run(self.promotion, &process).await?;
        Ok(process.run_to_end().await)
    }
}

impl Promotion {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let process = Process::start(&self.process, proto::DESCRIPTORS).await?;
        promotion::run(self.promotion, &process).await?;
        Ok(process.run_to_end().await)
    }
}
