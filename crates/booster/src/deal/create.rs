//! `booster deal create`.

use std::time::Duration;

use kit::error::Invalid;
use proto::promotion::v1 as pb;
use time::OffsetDateTime;

use super::worth::Worth;
use super::{connect, instant, print, refusal};

/// Create a deal
///
/// Example: booster deal create lunch --stock 1000 --percent 20 --closes-in 2h
#[derive(Debug, clap::Args)]
#[command(mut_group("off", |off| off.required(true)))]
pub(super) struct Create {
    /// Its name, [A-Za-z0-9_-]{1,48}; without one the server makes one
    #[arg(default_value = "", hide_default_value = true)]
    deal_id: String,
    /// How many coupons
    #[arg(long)]
    stock: i64,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true)]
    title: String,
    /// Whose deal it is
    #[arg(long, default_value = "venue")]
    venue_id: String,
    /// When it opens, RFC 3339 as in 2030-01-31T10:00:00+09:00; without it at once
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    opens_at: Option<OffsetDateTime>,
    /// When it closes
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse, conflicts_with = "closes_in")]
    closes_at: Option<OffsetDateTime>,
    /// How long after opening it closes
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = humantime::parse_duration)]
    closes_in: Duration,
    /// A claim must carry a pass of the waiting room
    #[arg(long)]
    pass_required: bool,
    /// Idempotency key: the same request again creates nothing; goes with --opens-at or --closes-at
    #[arg(long, default_value = "", hide_default_value = true)]
    request_id: String,
    #[command(flatten)]
    worth: Worth,
}

impl Create {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let asked = self.asked()?;
        print::deal(&connect(addr).await?.create_deal(asked).await.map_err(refusal)?.into_inner());
        Ok(())
    }

    fn asked(self) -> Result<pb::CreateDealRequest, Invalid> {
        if !self.request_id.is_empty() && self.opens_at.is_none() && self.closes_at.is_none() {
            // The closing would be counted from now, and a repeat would be another request.
            return Err(Invalid::new("--request-id", "needs --opens-at or --closes-at, so that a repeat is the same"));
        }
        let deal = pb::Deal {
            // Where no opening was asked for the server decides: its clock is the one that counts.
            opens_at: self.opens_at.map(instant::timestamp),
            closes_at: Some(instant::timestamp(self.closes_at()?)),
            prize: self.worth.prize()?,
            deal_id: self.deal_id,
            title: self.title,
            venue_id: self.venue_id,
            stock: self.stock,
            pass_required: self.pass_required,
            ..pb::Deal::default()
        };
        Ok(pb::CreateDealRequest { deal: Some(deal), request_id: self.request_id })
    }

    fn closes_at(&self) -> Result<OffsetDateTime, Invalid> {
        let counted = || {
            let opens_at = self.opens_at.unwrap_or_else(kit::clock::now);
            opens_at.checked_add(time::Duration::try_from(self.closes_in).ok()?)
        };
        let too_long = || Invalid::new("--closes-in", "leads beyond the year 9999");
        self.closes_at.or_else(counted).ok_or_else(too_long)
    }
}
