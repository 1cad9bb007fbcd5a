//! `booster deal`: the operator's way to deals, over gRPC like everybody else's.

mod print;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use prost_types::Timestamp;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Create a deal, look at one, claim from one.
#[derive(Debug, clap::Args)]
pub(crate) struct Deal {
    /// Where promotion answers gRPC
    #[arg(long, env = "BOOSTER_ADDR", default_value = "http://127.0.0.1:50051", global = true, value_name = "URL")]
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
    #[arg(long, value_name = "INSTANT")]
    opens_at: Option<String>,
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
        let endpoint = Endpoint::from_shared(self.addr.clone()).with_context(|| format!("--addr {}", self.addr))?;
        let channel = endpoint
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .connect()
            .await
            .with_context(|| format!("nothing answers at {}; is `booster all` running there?", self.addr))?;
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
        let opens_at = match &self.opens_at {
            Some(text) => OffsetDateTime::parse(text, &Rfc3339)
                .with_context(|| format!("--opens-at {text} is not like 2030-01-31T10:00:00+09:00"))?,
            None => kit::clock::now(),
        };
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
            opens_at: self.opens_at.as_ref().map(|_| timestamp(opens_at)),
            closes_at: Some(timestamp(opens_at + self.closes_in)),
            prize: Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }),
            ..pb::Deal::default()
        };
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: self.request_id };
        print::deal(&client.create_deal(asked).await.map_err(refusal)?.into_inner());
        Ok(())
    }
}

/// What the service said, in one line: reason, words, and when to come back.
fn refusal(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
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

fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}
