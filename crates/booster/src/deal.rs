//! `booster deal`: the operator's way to deals, over gRPC like everybody else's.

mod create;
mod list;
mod watch;
mod update;
mod export;
mod worth;
mod part;
mod print;

use std::process::ExitCode;

use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use tonic::transport::Channel;

use crate::client::{self, ADDR, refusal};
use crate::instant;

type Client = PromotionServiceClient<Channel>;

/// Work with deals.
#[derive(Debug, clap::Args)]
pub(crate) struct Deal {
    /// Where promotion answers gRPC
    #[arg(long, env = "BOOSTER_ADDR", default_value = ADDR, global = true, value_name = "URL")]
    addr: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Create(create::Create),
    Show(Show),
    List(list::List),
    Watch(watch::Watch),
    Update(update::Update),
    Close(Close),
    Export(export::Export),
    Claim(Claim),
}

/// Show a deal as it stands
///
/// Example: booster deal show lunch
#[derive(Debug, clap::Args)]
struct Show {
    /// Which deal
    deal_id: String,
}

/// Close a deal for good; may be repeated
///
/// Nobody new can win from then on, and nothing opens it again. Who holds a coupon keeps it.
///
/// Example: booster deal close lunch
#[derive(Debug, clap::Args)]
struct Close {
    /// Which deal
    deal_id: String,
}

/// Claim a coupon for a user; may be repeated
///
/// Example: booster deal claim lunch ann
#[derive(Debug, clap::Args)]
struct Claim {
    /// Which deal
    deal_id: String,
    /// For whom
    user_id: String,
}

impl Deal {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let addr = self.addr.as_str();
        match self.command {
            Command::Create(create) => create.run(addr).await?,
            Command::Show(Show { deal_id }) => {
                let asked = pb::GetDealRequest { deal_id };
                print::deal(&connect(addr).await?.get_deal(asked).await.map_err(refusal)?.into_inner());
            }
            Command::List(list) => list.run(addr).await?,
            Command::Watch(watch) => watch.run(addr).await?,
            Command::Update(update) => update.run(addr).await?,
            Command::Close(Close { deal_id }) => {
                let asked = pb::CloseDealRequest { deal_id };
                print::deal(&connect(addr).await?.close_deal(asked).await.map_err(refusal)?.into_inner());
            }
            Command::Export(export) => export.run(addr).await?,
            Command::Claim(Claim { deal_id, user_id }) => {
                let asked = pb::ClaimCouponRequest { deal_id, user_id, pass: String::new() };
                print::claimed(&connect(addr).await?.claim_coupon(asked).await.map_err(refusal)?.into_inner());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn connect(addr: &str) -> anyhow::Result<Client> {
    Ok(PromotionServiceClient::new(client::connect(addr).await?))
}
