//! `booster deal update`.

use kit::error::Invalid;
use prost_types::FieldMask;
use proto::promotion::v1 as pb;
use time::OffsetDateTime;

use super::worth::Worth;
use super::{connect, instant, print, refusal};

/// Change a deal: all that is said, or nothing; may be repeated
///
/// Until it is closed: --title, --closes-at, and --stock, which only grows. Before it opens also --opens-at, --pass-required,
/// and what a coupon is worth, which is changed as a whole: what is not said of it is gone.
///
/// Example: booster deal update lunch --stock 2000 --closes-at 2030-01-31T12:00:00+09:00
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// Which deal
    deal_id: String,
    /// How many coupons; only more than before
    #[arg(long)]
    stock: Option<i64>,
    /// For people
    #[arg(long)]
    title: Option<String>,
    /// When it opens, RFC 3339 as in 2030-01-31T10:00:00+09:00
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    opens_at: Option<OffsetDateTime>,
    /// When it closes
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    closes_at: Option<OffsetDateTime>,
    /// Whether a claim must carry a pass of the waiting room
    #[arg(long, value_name = "BOOL")]
    pass_required: Option<bool>,
    #[command(flatten)]
    worth: Worth,
}

/// What can be said.
const FLAGS: &str = "--title, --stock, --opens-at, --closes-at, --percent, --amount, --pass-required";

impl Update {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let asked = self.asked()?;
        print::deal(&connect(addr).await?.update_deal(asked).await.map_err(refusal)?.into_inner());
        Ok(())
    }

    fn asked(self) -> Result<pb::UpdateDealRequest, Invalid> {
        let prize = self.worth.prize()?;
        let said = [
            ("title", self.title.is_some()),
            ("stock", self.stock.is_some()),
            ("opens_at", self.opens_at.is_some()),
            ("closes_at", self.closes_at.is_some()),
            ("prize", prize.is_some()),
            ("pass_required", self.pass_required.is_some()),
        ];
        let paths: Vec<_> = said.iter().filter(|(_, said)| *said).map(|(path, _)| (*path).to_owned()).collect();
        if paths.is_empty() {
            return Err(Invalid::new("deal update", format!("would change nothing: say at least one of {FLAGS}")));
        }
        let deal = pb::Deal {
            deal_id: self.deal_id,
            title: self.title.unwrap_or_default(),
            stock: self.stock.unwrap_or_default(),
            opens_at: self.opens_at.map(instant::timestamp),
            closes_at: self.closes_at.map(instant::timestamp),
            prize,
            pass_required: self.pass_required.unwrap_or_default(),
            ..pb::Deal::default()
        };
        Ok(pb::UpdateDealRequest { deal: Some(deal), update_mask: Some(FieldMask { paths }) })
    }
}
