//! What promotion tells that no single call can tell: how many deals there are of each state, and what memory holds and how
//! old it is. What a call can tell is counted where it happens.

use std::time::Duration;

use futures::StreamExt as _;
use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::Pool;

use crate::deal::{DealId, Refusal, State};
use crate::postgres::list as rows;
use crate::redis::{Answer, Deals};
use crate::winners::Winners;

/// How often deals are counted, at most.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// Deals that Redis is asked about in one second, at most: counting ten thousand of them takes more than a minute, and nobody
/// waits for it.
const PAGE: i64 = 100;
const PAGE_PAUSE: Duration = Duration::from_secs(1);
/// Questions to Redis on their way at once.
const AT_ONCE: usize = 8;
/// How often it is told what memory holds.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

/// What is looked at.
struct Looked {
    pool: Pool,
    deals: Deals,
    winners: Winners,
}

/// How many deals there are of each state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    scheduled: u32,
    open: u32,
    sold_out: u32,
    closed: u32,
    frozen: u32,
}

/// Starts to look and to tell, until told to stop.
pub fn spawn(process: &Process, pool: &Pool, deals: &Deals, winners: &Winners) {
    let looked = Looked { pool: pool.clone(), deals: deals.clone(), winners: winners.clone() };
    process.spawn(Stage::Work, "metrics", |told| async move {
        told.run_until_cancelled(async { tokio::join!(looked.count_deals(), looked.watch_memory()) }).await;
        Ok(())
    });
}

impl Looked {
    async fn count_deals(&self) {
        loop {
            match self.count().await {
                Ok(counts) => counts.tell(),
                // What is away is told by those who need it; the last numbers stay.
                Err(error) => tracing::debug!(%error, "deals cannot be counted now"),
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    async fn watch_memory(&self) {
        loop {
            let (deals, bytes, age) = self.winners.extent();
            metrics::gauge!("booster_winners_deals").set(u32::try_from(deals).unwrap_or(u32::MAX));
            metrics::gauge!("booster_winners_bytes").set(u32::try_from(bytes).unwrap_or(u32::MAX));
            metrics::gauge!("booster_winners_age_seconds").set(age.as_secs_f64());
            tokio::time::sleep(MEMORY_EVERY).await;
        }
    }

    /// PostgreSQL knows which deals are over by the clock; of the others Redis is asked, a page a second.
    async fn count(&self) -> Result<Counts, Error<Refusal>> {
        let over = u32::try_from(rows::over(&self.pool).await?).unwrap_or(u32::MAX);
        let mut counts = Counts { closed: over, ..Counts::default() };
        let mut after = String::new();
        loop {
            let page = rows::current(&self.pool, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(counts) };
            after = last.to_string();
            let mut states = futures::stream::iter(page).map(|deal_id| self.state(deal_id)).buffer_unordered(AT_ONCE);
            while let Some(state) = states.next().await {
                counts.add(state?);
            }
            tokio::time::sleep(PAGE_PAUSE).await;
        }
    }

    async fn state(&self, deal_id: DealId) -> Result<State, Error<Refusal>> {
        Ok(match self.deals.look(&deal_id).await? {
            Answer::Found(course) => course.state(),
            // It has left since its name was read.
            Answer::Archived => State::Closed,
            Answer::Frozen | Answer::Missing => State::Frozen,
        })
    }
}

impl Counts {
    fn add(&mut self, state: State) {
        let count = match state {
            State::Scheduled => &mut self.scheduled,
            State::Open => &mut self.open,
            State::SoldOut => &mut self.sold_out,
            State::Closed => &mut self.closed,
            State::Frozen => &mut self.frozen,
        };
        *count = count.saturating_add(1);
    }

    fn tell(self) {
        for (state, count) in [
            ("SCHEDULED", self.scheduled),
            ("OPEN", self.open),
            ("SOLD_OUT", self.sold_out),
            ("CLOSED", self.closed),
            ("FROZEN", self.frozen),
        ] {
            metrics::gauge!("booster_deals", "state" => state).set(count);
        }
    }
}
