//! `booster deal`: the operator's way to deals, over gRPC like everybody else's.

mod create;
mod list;
mod watch;
mod update;
mod export;
mod worth;
mod part;
mod instant;
mod print;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use kit::error::Invalid;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Where a Booster of this host answers.
const ADDR: &str = "http://127.0.0.1:50051";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that says nothing for so long is asked whether it lives, and gone if that is not answered within `PATIENCE`.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
    // What has no scheme is taken for a path, and only fails when it is called.
    let endpoint = Endpoint::from_shared(addr.to_owned()).ok().filter(|_| addr.starts_with("http://"));
    let endpoint = endpoint.ok_or_else(|| Invalid::new("--addr", format!("is {addr:?}, which is not like {ADDR}")))?;
    let endpoint = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE);
    let channel = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(PATIENCE).connect().await;
    let channel =
        channel.map_err(|_| anyhow!("nothing answers at {addr}: start `booster all` there, or correct --addr"))?;
    Ok(PromotionServiceClient::new(channel))
}

/// What the service said, in one line: reason, words, and when to come back.
fn refusal(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
    let Some(reason) = details.error_info().map(|info| &info.reason) else { return no_answer(&status) };
    let after = details.retry_info().and_then(|retry| retry.retry_delay);
    let after = after.map(|delay| format!(" (again in {})", humantime::format_duration(delay))).unwrap_or_default();
    let fields: Vec<_> = details
        .bad_request()
        .map(|bad| bad.field_violations.iter().map(|one| format!("{} {}", one.field, one.description)).collect())
        .unwrap_or_default();
    if fields.is_empty() {
        anyhow!("{reason}: {}{after}", status.message())
    } else {
        anyhow!("{reason}: {}{after}", fields.join("; "))
    }
}

/// Whatever Booster says has a reason: this was said by somebody else, or by the connection.
fn no_answer(status: &Status) -> anyhow::Error {
    let (code, words) = (status.code(), status.message());
    // The client library calls its own patience a cancellation, as it does a connection that is cut.
    if code == Code::DeadlineExceeded || words == "Timeout expired" {
        anyhow!("no answer within {} s ({code:?}: {words})", PATIENCE.as_secs())
    } else {
        anyhow!("what answers at --addr does not answer as a Booster does: correct --addr ({code:?}: {words})")
    }
}
