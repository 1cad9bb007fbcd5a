//! `booster deal export`.

use std::io::{ErrorKind, IsTerminal as _, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use proto::promotion::v1 as pb;

use super::part::Part;
use super::{Client, connect, instant, print, refusal};
use crate::say::aside;

/// Write the coupons of a deal as CSV, highest rank first
///
/// Reads PostgreSQL, where a coupon is a moment after its claim was answered; says when some are still on their way.
///
/// Example: booster deal export lunch --out lunch.csv
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Which deal
    deal_id: String,
    /// Only those in this state
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<State>,
    /// Where to; without it to standard output. It is there once it is whole, until then FILE.part is, and replaces an older one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Whether a coupon can still be used, in the words that are printed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum State {
    Issued,
    Redeemed,
    Returned,
    Expired,
}

/// What was written.
#[derive(Default)]
struct Written {
    coupons: u64,
    /// Those that were not given back.
    alive: u64,
}

/// Coupons on a page: the most that there can be.
const PAGE: i32 = 1_000;
const COLUMNS: [&str; 7] = ["rank", "coupon_id", "user_id", "state", "claimed_at", "expires_at", "order_id"];

impl Export {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let mut client = connect(addr).await?;
        let before = alive(&mut client, &self.deal_id).await?;
        let written = match &self.out {
            Some(out) => {
                let part = Part::begin(out)?;
                match self.write(&mut client, part.file(), before).await {
                    Ok(written) => part.finish().map(|()| written)?,
                    Err(why) => {
                        part.discard();
                        return Err(why);
                    }
                }
            }
            None => match self.write(&mut client, std::io::stdout(), before).await {
                // As behind `| head`: whoever reads has what he wanted.
                Err(why) if is_unread(&why) => return Ok(()),
                written => written?,
            },
        };
        // What is written is written, also where nobody answers any more.
        let after = alive(&mut client, &self.deal_id).await.ok().flatten();
        self.tell(&written, before.zip(after).map(|(before, after)| before.min(after)));
        Ok(())
    }

    async fn write(&self, client: &mut Client, to: impl Write, alive: Option<u64>) -> anyhow::Result<Written> {
        let mut table = csv::Writer::from_writer(to);
        table.write_record(COLUMNS).context("cannot write")?;
        let bar = self.bar(alive);
        let mut asked = pb::ListCouponsRequest {
            of: Some(pb::list_coupons_request::Of::DealId(self.deal_id.clone())),
            state: self.state.map_or(pb::CouponState::Unspecified, pb::CouponState::from).into(),
            page_size: PAGE,
            page_token: String::new(),
        };
        let mut written = Written::default();
        loop {
            let page = client.list_coupons(asked.clone()).await.map_err(refusal)?.into_inner();
            for coupon in &page.coupons {
                table.write_record(record(coupon)).context("cannot write")?;
                written.coupons += 1;
                written.alive += u64::from(coupon.state() != pb::CouponState::Returned);
            }
            bar.set_position(written.coupons);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() {
                break;
            }
        }
        table.flush().context("cannot write")?;
        bar.finish_and_clear();
        Ok(written)
    }

    /// On a terminal only, and not between the lines of the table.
    fn bar(&self, alive: Option<u64>) -> ProgressBar {
        let is_seen = std::io::stderr().is_terminal() && (self.out.is_some() || !std::io::stdout().is_terminal());
        let bar = match alive.filter(|_| self.state.is_none()) {
            _ if !is_seen => ProgressBar::hidden(),
            Some(alive) => ProgressBar::new(alive).with_style(style("{wide_bar} {human_pos} of {human_len} coupons")),
            None => ProgressBar::no_length().with_style(style("{human_pos} coupons")),
        };
        bar.tick();
        bar
    }

    /// What was written, and what was not yet there to be written.
    fn tell(&self, written: &Written, alive: Option<u64>) {
        let coupons = HumanCount(written.coupons);
        let missing = alive.filter(|_| self.state.is_none()).map(|alive| alive.saturating_sub(written.alive));
        match missing {
            None => aside(format_args!("{coupons} coupons written")),
            Some(0) => aside(format_args!("{coupons} coupons written, all that were claimed when this began")),
            Some(missing) => aside(format_args!(
                "{coupons} coupons written; {} more were claimed when this began and are on their way to PostgreSQL: \
                 export again in a moment",
                HumanCount(missing)
            )),
        }
    }
}

impl From<State> for pb::CouponState {
    fn from(state: State) -> Self {
        match state {
            State::Issued => Self::Issued,
            State::Redeemed => Self::Redeemed,
            State::Returned => Self::Returned,
            State::Expired => Self::Expired,
        }
    }
}

/// How many coupons of the deal are alive, where that is known: a frozen deal is not counted.
async fn alive(client: &mut Client, deal_id: &str) -> anyhow::Result<Option<u64>> {
    let asked = pb::GetDealRequest { deal_id: deal_id.to_owned() };
    let deal = client.get_deal(asked).await.map_err(refusal)?.into_inner();
    let is_counted = deal.state() != pb::DealState::Frozen;
    Ok(is_counted.then(|| u64::try_from(deal.stock - deal.remaining).unwrap_or_default()))
}

/// Ids are [A-Za-z0-9_-] only: a spreadsheet may take one that begins with "-" for a sum, but none can call a function.
fn record(coupon: &pb::Coupon) -> [String; 7] {
    let time = |at: Option<_>| at.and_then(instant::exact).unwrap_or_default();
    [
        coupon.rank.to_string(),
        coupon.coupon_id.clone(),
        coupon.user_id.clone(),
        print::coupon_state(coupon.state()).to_owned(),
        time(coupon.claimed_at),
        time(coupon.expires_at),
        coupon.order_id.clone(),
    ]
}

fn is_unread(why: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<csv::Error>().map(csv::Error::kind)
    {
        Some(csv::ErrorKind::Io(io)) => Some(io.kind()),
        _ => cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind),
    };
    why.chain().any(|cause| io(cause) == Some(ErrorKind::BrokenPipe))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
