//! Asks a process whether it is well, by the standard health service.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::say::say;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Ask a process whether it is well; exit code 0 when it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Healthcheck {
    /// Where the process answers gRPC
    #[arg(long, env = "BOOSTER_GRPC_ADDR", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    grpc_addr: SocketAddr,
    /// Ask for one service only, as in booster.promotion.v1.PromotionService
    #[arg(long, default_value = "", value_name = "NAME")]
    service: String,
}

impl Healthcheck {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let address = self.grpc_addr;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(PATIENCE).timeout(PATIENCE);
        let channel = endpoint.connect().await.with_context(|| format!("nothing answers at {address}"))?;
        let asked = HealthCheckRequest { service: self.service };
        let reply = HealthClient::new(channel).check(asked).await.context("the process does not say how it is")?;
        let status = reply.into_inner().status();
        say!("{}", status.as_str_name());
        Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
