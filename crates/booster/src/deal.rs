//! `booster deal`: the operator's way to deals, over gRPC like everybody else's.

mod print;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use kit::error::Invalid;
use prost_types::Timestamp;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Where a Booster of this host answers.
const ADDR: &str = "http://127.0.0.1:50051";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Create a deal, look at one, claim from one.
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
    /// Create a deal
    ///
    /// Example: booster deal create lunch --stock 1000 --percent 20 --closes-in 2h
    Create(Create),
    /// Show a deal as it stands
    Show {
        /// Which deal
        deal_id: String,
    },
    /// Claim a coupon for a user; may be repeated
    Claim {
        /// Which deal
        deal_id: String,
        /// For whom
        user_id: String,
    },
}

/// Create a deal.
#[derive(Debug, clap::Args)]
struct Create {
    /// Its name, [A-Za-z0-9_-]{1,48}; without one the server makes one
    #[arg(default_value = "")]
    deal_id: String,
    /// How many coupons
    #[arg(long)]
    stock: i64,
    /// Per cent off, 1 to 100
    #[arg(long)]
    percent: i32,
    /// For people
    #[arg(long, default_value = "")]
    title: String,
    /// Whose deal it is
    #[arg(long, default_value = "venue")]
    venue_id: String,
    /// When it opens, RFC 3339 as in 2030-01-31T10:00:00+09:00; without it at once
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    opens_at: Option<OffsetDateTime>,
    /// How long after opening it closes
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = humantime::parse_duration)]
    closes_in: Duration,
    /// How long a coupon is valid; without it for ever
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    valid_for: Option<Duration>,
    /// Idempotency key: the same request again creates nothing
    #[arg(long, default_value = "")]
    request_id: String,
}

impl Deal {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let addr = &self.addr;
        // What has no scheme is taken for a path, and only fails when it is called.
        let endpoint = Endpoint::from_shared(addr.clone()).ok().filter(|_| addr.starts_with("http://"));
        let endpoint =
            endpoint.ok_or_else(|| Invalid::new("--addr", format!("is {addr:?}, which is not like {ADDR}")))?;
        let channel = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await;
        let channel =
            channel.map_err(|_| anyhow!("nothing answers at {addr}: start `booster all` there, or correct --addr"))?;
        let mut client = PromotionServiceClient::new(channel);
        match self.command {
            Command::Create(create) => create.run(&mut client).await?,
            Command::Show { deal_id } => {
                let deal = client.get_deal(pb::GetDealRequest { deal_id }).await.map_err(refusal)?;
                print::deal(&deal.into_inner());
            }
            Command::Claim { deal_id, user_id } => {
                let asked = pb::ClaimCouponRequest { deal_id, user_id, pass: String::new() };
                print::claimed(&client.claim_coupon(asked).await.map_err(refusal)?.into_inner());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, client: &mut PromotionServiceClient<Channel>) -> anyhow::Result<()> {
        let opens_at = self.opens_at.unwrap_or_else(kit::clock::now);
        let discount = pb::Discount {
            off: Some(pb::discount::Off::Percent(self.percent)),
            valid_for: self.valid_for.map(prost_types::Duration::try_from).transpose()?,
            ..pb::Discount::default()
        };
        let deal = pb::Deal {
            deal_id: self.deal_id,
            title: self.title,
            venue_id: self.venue_id,
            stock: self.stock,
            // Where no opening was asked for the server decides: its clock is the one that counts.
            opens_at: self.opens_at.map(timestamp),
            closes_at: Some(timestamp(opens_at + self.closes_in)),
            prize: Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }),
            ..pb::Deal::default()
        };
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: self.request_id };
        print::deal(&client.create_deal(asked).await.map_err(refusal)?.into_inner());
        Ok(())
    }
}

/// Codes that a Booster gives with a reason, and other servers and broken connections without one.
const NOT_OURS: [Code; 3] = [Code::Unknown, Code::Internal, Code::Unimplemented];

/// What the service said, in one line: reason, words, and when to come back.
fn refusal(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
    if details.error_info().is_none() && NOT_OURS.contains(&status.code()) {
        let (code, message) = (status.code(), status.message());
        return anyhow!(
            "what answers at --addr does not answer as a Booster does: correct --addr ({code:?}: {message})"
        );
    }
    let reason = details.error_info().map_or_else(|| status.code().to_string(), |info| info.reason.clone());
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

fn instant(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "not like 2030-01-31T10:00:00+09:00")
}

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
