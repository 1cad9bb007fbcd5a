//! `booster deal watch`.

use std::time::Duration;

use indicatif::HumanCount;
use proto::promotion::v1 as pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Client, connect, print, refusal};
use crate::say;

/// Watch a deal: a line now and at every change, until Ctrl-C
///
/// The time of each line is UTC. When the server goes away it says so, and goes on when it is back. Where changes come faster
/// than they can be shown, the newest is.
///
/// Example: booster deal watch lunch
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Which deal
    deal_id: String,
}

/// The first pause before the server is asked again. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Watch {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let watch = async {
            let client = connect(addr).await?;
            Watcher { addr, deal_id: self.deal_id, client, lost: 0, stock: None, shown: None }.run().await
        };
        tokio::select! {
            ended = watch => ended,
            told = tokio::signal::ctrl_c() => Ok(told?),
        }
    }
}

/// A deal that is watched.
struct Watcher<'a> {
    addr: &'a str,
    deal_id: String,
    client: Client,
    /// How often the stream was lost since the last that it told.
    lost: u32,
    /// The stock, and the round in which it was that.
    stock: Option<(i64, i64)>,
    /// What the last line shows.
    shown: Option<pb::WatchDealResponse>,
}

impl Watcher<'_> {
    /// Ends where nobody reads any more, or where the service has said no for good.
    async fn run(mut self) -> anyhow::Result<()> {
        loop {
            match self.follow().await {
                Ok(()) => return Ok(()),
                Err(status) if self.passes(&status) => self.pause(status).await,
                Err(status) => return Err(refusal(status)),
            }
        }
    }

    /// Shows what one stream tells, until it ends or nobody reads any more.
    async fn follow(&mut self) -> Result<(), Status> {
        let asked = pb::WatchDealRequest { deal_id: self.deal_id.clone() };
        let mut changes = self.client.watch_deal(asked).await?.into_inner();
        while let Some(change) = changes.message().await? {
            let stock = self.stock(&change).await?;
            // A stream begins with what is so already. After a silence that was spoken of, it is shown again.
            let was_quiet = std::mem::take(&mut self.lost) <= 1;
            if self.shown.replace(change) == Some(change) && was_quiet {
                continue;
            }
            if !show(&change, stock) {
                return Ok(());
            }
        }
        Err(Status::unavailable("the stream has ended"))
    }

    /// A raise of the stock begins a new round; within one, the stock stays.
    async fn stock(&mut self, change: &pb::WatchDealResponse) -> Result<i64, Status> {
        match self.stock {
            Some((round, stock)) if round == change.round => Ok(stock),
            Some(_) | None => {
                let asked = pb::GetDealRequest { deal_id: self.deal_id.clone() };
                let deal = self.client.get_deal(asked).await?.into_inner();
                self.stock = Some((deal.round, deal.stock));
                Ok(deal.stock)
            }
        }
    }

    /// Whether it is worth waiting for. Who was never told anything does not wait: what is there may be no Booster at all.
    fn passes(&self, status: &Status) -> bool {
        let refused = status.get_details_error_info().is_some();
        let worth_it = if refused { status.code() == Code::Unavailable } else { status.code() != Code::Unimplemented };
        self.shown.is_some() && worth_it
    }

    /// A server lets its connections go every few minutes, and takes the next at once: only a second loss is spoken of.
    async fn pause(&mut self, status: Status) {
        if self.lost == 1 {
            let refused = status.get_details_error_info().is_some();
            let why = if refused { refusal(status).to_string() } else { format!("nothing answers at {}", self.addr) };
            say::aside(format_args!("{}  {why}; trying again until Ctrl-C", clock()));
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.lost.min(10)).min(LONGEST_PAUSE);
        self.lost += 1;
        tokio::time::sleep(pause).await;
    }
}

/// Whether somebody read it.
fn show(change: &pb::WatchDealResponse, stock: i64) -> bool {
    let [remaining, stock] =
        [change.remaining, stock].map(|count| HumanCount(count.try_into().unwrap_or(0)).to_string());
    let (state, wide) = (print::state(change.state()), stock.len());
    say::line(format_args!(
        "{}  {state:9}  remaining {remaining:>wide$} of {stock}  round {} (epoch {})",
        clock(),
        change.round,
        change.epoch
    ))
}

fn clock() -> String {
    let now = kit::clock::now();
    format!("{:02}:{:02}:{:02}Z", now.hour(), now.minute(), now.second())
}
