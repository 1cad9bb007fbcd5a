//! The wait until what was told has arrived in PostgreSQL, and the reading of it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use proto::promotion::v1::{Coupon, ListCouponsRequest, list_coupons_request::Of};
use tonic::Request;

use super::connection::Connections;
use super::verdict::expected;
use super::{Args, Entry, Row, stored, told};

/// What is kept of the deal, and when it was complete.
pub(super) struct Settled {
    pub(super) listed: Vec<Row>,
    pub(super) stored: Option<Vec<Row>>,
    /// From the last answer until the list held everything; nothing when that took longer than was waited.
    pub(super) took: Option<Duration>,
}

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the list must stay the same where it cannot be known how many are still to come.
const STEADY: Duration = Duration::from_secs(3);
/// The most that one page may hold.
const PAGE: i32 = 1000;
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until as many are listed as there must be, at most `--settle`, and reads everything.
pub(super) async fn settle(
    connections: &Connections,
    args: &Args,
    deal_id: &str,
    entries: &[Entry],
) -> anyhow::Result<Settled> {
    let begun = Instant::now();
    let deadline = begun + args.settle;
    let users = told(entries);
    let expected = expected(&users, args.stock);
    let winners = users.values().filter(|told| told.is_winner()).count();
    let wanted = winners.max(*expected.start());
    // The more may come only where somebody gave up without an answer.
    let steady = if wanted < *expected.end() { STEADY } else { Duration::ZERO };

    let mut list = List { connections, deal_id, look: 0 };
    let (listed, took) = list.complete(wanted, steady, deadline).await?;
    let took = took.map(|at| at.duration_since(begun));
    let stored = match &args.postgres_url {
        Some(url) => Some(insist(deadline, async || stored::rows(url, deal_id).await).await?),
        None => None,
    };
    Ok(Settled { listed, stored, took })
}

struct List<'a> {
    connections: &'a Connections,
    deal_id: &'a str,
    /// Each look goes to the next connection, so that a process that has died does not end the wait.
    look: usize,
}

impl List<'_> {
    /// The list, and when it first held `wanted`.
    async fn complete(
        &mut self,
        wanted: usize,
        steady: Duration,
        deadline: Instant,
    ) -> anyhow::Result<(Vec<Row>, Option<Instant>)> {
        let mut reached = None;
        let mut same_since = (0, Instant::now());
        loop {
            // The highest rank is first: as long as it is too low, there is no need to read all pages.
            let highest = self.page(1, "").await.map(|(rows, _)| rows.first().map_or(0, |row| row.rank));
            if highest.is_ok_and(|rank| usize::try_from(rank).is_ok_and(|rank| rank >= wanted))
                && let Ok(rows) = self.all().await
                && rows.len() >= wanted
            {
                reached.get_or_insert_with(Instant::now);
                if rows.len() != same_since.0 {
                    same_since = (rows.len(), Instant::now());
                }
                if same_since.1.elapsed() >= steady {
                    return Ok((rows, reached));
                }
            }
            if Instant::now() >= deadline {
                return Ok((self.all().await.context("ListCoupons does not answer")?, reached));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All pages.
    async fn all(&mut self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut token = String::new();
        loop {
            let (page, next) = self.page(PAGE, &token).await?;
            rows.extend(page);
            if next.is_empty() {
                return Ok(rows);
            }
            anyhow::ensure!(next != token, "ListCoupons gives the same page again and again");
            token = next;
        }
    }

    async fn page(&mut self, page_size: i32, page_token: &str) -> anyhow::Result<(Vec<Row>, String)> {
        let mut request = Request::new(ListCouponsRequest {
            of: Some(Of::DealId(self.deal_id.to_owned())),
            page_size,
            page_token: page_token.to_owned(),
            ..ListCouponsRequest::default()
        });
        request.set_timeout(PAGE_TIMEOUT);
        self.look += 1;
        let reply = self.connections.client(self.look).list_coupons(request).await?.into_inner();
        Ok((reply.coupons.into_iter().map(row).collect(), reply.next_page_token))
    }
}

/// Tries until the deadline, and once in any case.
async fn insist<T>(deadline: Instant, attempt: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    loop {
        match attempt().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
            last => return last,
        }
    }
}

fn row(coupon: Coupon) -> Row {
    let state = coupon.state().as_str_name().trim_start_matches("COUPON_STATE_").to_owned();
    Row { rank: coupon.rank, user: coupon.user_id, state, seat: None, coupon_id: Some(coupon.coupon_id) }
}
