//! `booster deal list`.

use proto::promotion::v1 as pb;

use super::{Client, connect, print, refusal};
use crate::say::aside;
use crate::table::table;

/// List deals as they stand, newest first
///
/// One line each under a line of headings. No column but the last, the title, has a blank in it, and none is empty.
///
/// Example: booster deal list --state open | awk 'NR > 1 { print $1 }'
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those in this state
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<State>,
    /// Only those of this venue
    #[arg(long, default_value = "", hide_default_value = true)]
    venue_id: String,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Where a deal stands, in the words that are printed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum State {
    Scheduled,
    Open,
    SoldOut,
    Closed,
    Frozen,
}

/// Deals on a page, at most.
const PAGE: usize = 1_000;
/// What stands above the columns.
const HEADINGS: [&str; 6] = ["DEAL", "STATE", "REMAINING", "OPENS", "CLOSES", "TITLE"];

impl List {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let (deals, more) = self.deals(&mut connect(addr).await?).await?;
        // What is counted stands to the right.
        table(HEADINGS, Some(2), &deals.iter().map(row).collect::<Vec<_>>());
        if more {
            aside(format_args!("there are more than --limit {}", self.limit));
        }
        Ok(())
    }

    /// Page after page, until there are enough; and whether there are more.
    async fn deals(&self, client: &mut Client) -> anyhow::Result<(Vec<pb::Deal>, bool)> {
        let limit = usize::try_from(self.limit)?;
        let mut asked = pb::ListDealsRequest {
            state: self.state.map_or(pb::DealState::Unspecified, pb::DealState::from).into(),
            venue_id: self.venue_id.clone(),
            ..pb::ListDealsRequest::default()
        };
        let mut deals = Vec::new();
        loop {
            asked.page_size = i32::try_from((limit - deals.len()).min(PAGE))?;
            let page = client.list_deals(asked.clone()).await.map_err(refusal)?.into_inner();
            deals.extend(page.deals);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() || deals.len() >= limit {
                return Ok((deals, !asked.page_token.is_empty()));
            }
        }
    }
}

impl From<State> for pb::DealState {
    fn from(state: State) -> Self {
        match state {
            State::Scheduled => Self::Scheduled,
            State::Open => Self::Open,
            State::SoldOut => Self::SoldOut,
            State::Closed => Self::Closed,
            State::Frozen => Self::Frozen,
        }
    }
}

fn row(deal: &pb::Deal) -> [String; 6] {
    let remaining = format!("{}/{}", deal.remaining, deal.stock);
    let (opens, closes) = (print::instant(deal.opens_at), print::instant(deal.closes_at));
    let title = if deal.title.is_empty() { "-" } else { &deal.title };
    [deal.deal_id.clone(), print::state(deal.state()).to_owned(), remaining, opens, closes, title.to_owned()]
}
