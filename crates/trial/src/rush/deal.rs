//! The deal that everybody wants: open from now on, for an hour.

use std::time::{Duration, SystemTime};

use anyhow::{anyhow, bail};
use proto::promotion::v1::{CreateDealRequest, Deal, DealState, Discount, GetDealRequest, Prize, discount, prize};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::Args;
use super::backoff::Patience;
use super::connection::Connections;

/// How long the deal is open: longer than any rush.
const OPEN_FOR: Duration = Duration::from_secs(3600);
/// How often the deal is looked at until it is open.
const LOOKS: u32 = 100;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes the deal, and waits until it is open.
pub(super) async fn create(connections: &Connections, args: &Args, deal_id: &str) -> anyhow::Result<()> {
    let request = CreateDealRequest {
        deal: Some(deal(args, deal_id)),
        request_id: format!("{deal_id}-{:08x}", rand::random::<u32>()),
    };
    let mut wait = Patience::of(args).begin();
    loop {
        let mut sent = Request::new(request.clone());
        sent.set_timeout(args.timeout);
        let Err(status) = connections.client(wait.attempt() as usize).create_deal(sent).await else { break };
        let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let pause = if is_passing(&status) { wait.next(hint) } else { None };
        let Some(pause) = pause else { bail!(why_not(&status, deal_id)) };
        tokio::time::sleep(pause).await;
    }
    wait_until_open(connections, deal_id).await
}

fn deal(args: &Args, deal_id: &str) -> Deal {
    let off = Some(discount::Off::Percent(10));
    Deal {
        deal_id: deal_id.to_owned(),
        title: "Rush".to_owned(),
        venue_id: "trial".to_owned(),
        stock: args.stock.into(),
        closes_at: Some((SystemTime::now() + OPEN_FOR).into()),
        prize: Some(Prize { kind: Some(prize::Kind::Discount(Discount { off, ..Discount::default() })) }),
        ..Deal::default()
    }
}

/// The request carries an id, so that it can be repeated whatever became of it.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
}

fn why_not(status: &Status, deal_id: &str) -> anyhow::Error {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    if reason == "DEAL_EXISTS" {
        return anyhow!("the deal {deal_id} exists already: name another one with --deal, or none");
    }
    anyhow!("the deal {deal_id} cannot be made: {} {reason} ({})", status.code(), status.message())
}

/// It opens by the clock of the servers; a claim that came before would be refused rightly, and judged wrongly.
async fn wait_until_open(connections: &Connections, deal_id: &str) -> anyhow::Result<()> {
    for look in 0..LOOKS {
        let request = GetDealRequest { deal_id: deal_id.to_owned() };
        if let Ok(deal) = connections.client(look as usize).get_deal(request).await
            && deal.get_ref().state() == DealState::Open
        {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("the deal {deal_id} was made, but it is still not open")
}
