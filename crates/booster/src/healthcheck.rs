//! Asks a process whether it is well, by the standard health service.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use tonic::Code;
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
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|_| anyhow!("nothing answers at {address}: start it, or correct --grpc-addr"))?;
        let asked = HealthCheckRequest { service: self.service.clone() };
        let reply = HealthClient::new(channel).check(asked).await.map_err(|status| {
            if status.code() == Code::NotFound {
                return anyhow!("the Booster at {address} has no service {}: correct --service", self.service);
            }
            let code = status.code();
            anyhow!(
                "what answers at {address} does not say how it is, as a Booster does: correct --grpc-addr ({code:?})"
            )
        })?;
        let status = reply.into_inner().status();
        say!("{}", status.as_str_name());
        Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
