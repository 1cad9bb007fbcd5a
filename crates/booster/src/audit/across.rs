//! Orders, held against everybody who takes part in them: by its end, each has all of its effects once, or none at all.
//!
//! Nothing stands still while it is looked at, and effects arrive one after the other. So everything is looked at again where something
//! is unfinished or odd, and only what was said in several looks one after the other is believed. What a sentence tells of changes with
//! what it tells of: whatever is on its way is never said twice in the same words for long.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use kit::config::Servers;
use kit::postgres::Pool;
use order::audit::End;

use super::judge::{self, Effects, Sold};

/// Orders that are read at once.
const PAGE: i64 = 500;
/// Looks at most, and the pause between two.
const LOOKS: usize = 10;
const AGAIN: Duration = Duration::from_secs(1);
/// In so many looks one after the other a sentence must be said before it is believed.
const BELIEVED: usize = 5;
/// Sentences, at most; the rest is counted.
const SENTENCES: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Orders looked at.
    pub(super) orders: usize,
    /// Those of them that are on their way: they are judged once they have ended. (That one is for too long, order says itself.)
    pub(super) unfinished: usize,
    /// What is wrong and where, one sentence each.
    pub(super) violations: Vec<String>,
}

/// What one look has found.
#[derive(Default)]
struct Look {
    orders: usize,
    unfinished: usize,
    sentences: Vec<String>,
}

/// Looks at all orders. The services may run meanwhile.
///
/// # Errors
/// PostgreSQL cannot be reached: nothing can be said.
pub(super) async fn run(servers: &Servers) -> anyhow::Result<Report> {
    let pools = Pools::connect(servers).await?;
    // How often in a row each sentence was said.
    let mut said = BTreeMap::<String, usize>::new();
    for look in 1.. {
        let Look { orders, unfinished, sentences } = pools.look().await?;
        said = sentences.into_iter().map(|one| (said.get(&one).map_or(1, |times| times + 1), one)).map(flip).collect();
        let is_settled = unfinished == 0 && said.values().all(|times| *times >= BELIEVED);
        if is_settled || look == LOOKS {
            let violations = bounded(said.into_iter().filter(|(_, times)| *times >= BELIEVED).map(|(one, _)| one));
            pools.close().await;
            return Ok(Report { orders, unfinished, violations });
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(Report::default())
}

fn flip((times, sentence): (usize, String)) -> (String, usize) {
    (sentence, times)
}

/// The first sentences, and how many more there are.
fn bounded(sentences: impl Iterator<Item = String>) -> Vec<String> {
    let mut sentences: Vec<String> = sentences.collect();
    let more = sentences.len().saturating_sub(SENTENCES);
    sentences.truncate(SENTENCES);
    sentences.extend((more > 0).then(|| format!("... and {more} more")));
    sentences
}

/// Where everybody keeps his part.
struct Pools {
    order: Pool,
    promotion: Pool,
    point: Pool,
    payment: Pool,
    ranking: Pool,
}

impl Pools {
    async fn connect(servers: &Servers) -> anyhow::Result<Self> {
        Ok(Self {
            order: kit::postgres::connect(servers, order::SERVICE).await?,
            promotion: kit::postgres::connect(servers, promotion::SERVICE).await?,
            point: kit::postgres::connect(servers, point::SERVICE).await?,
            payment: kit::postgres::connect(servers, payment::SERVICE).await?,
            ranking: kit::postgres::connect(servers, ranking::SERVICE).await?,
        })
    }

    async fn close(self) {
        for pool in [self.order, self.promotion, self.point, self.payment, self.ranking] {
            pool.close().await;
        }
    }

    /// All orders, page by page; then what was sold.
    async fn look(&self) -> anyhow::Result<Look> {
        let (mut look, mut sold, mut after) = (Look::default(), Sold::default(), String::new());
        loop {
            let page = order::audit::ends(&self.order, &after, PAGE).await.context("reading orders")?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.order_id);
            look.orders += page.len();
            look.unfinished += page.iter().filter(|end| !end.finished).count();
            page.iter().for_each(|end| sold.count(end));
            let effects = self.effects(&page).await?;
            let finished = page.iter().filter(|end| end.finished);
            look.sentences.extend(finished.flat_map(|end| judge::order(end, &effects)));
        }
        let ranked = ranking::audit::all_time(&self.ranking).await.context("reading what is popular")?;
        look.sentences.extend(sold.against(&ranked));
        Ok(look)
    }

    /// What everybody says of some orders; of orders, which are read before, nothing is older.
    async fn effects(&self, page: &[End]) -> anyhow::Result<Effects> {
        let orders: Vec<String> = page.iter().map(|end| end.order_id.clone()).collect();
        let redeemed = promotion::find::redeemed_by(&self.promotion, &orders).await.context("reading coupons")?;
        let coupons: Vec<String> = redeemed.values().flatten().cloned().collect();
        Ok(Effects {
            over: promotion::find::archived(&self.promotion, &coupons).await.context("reading deals")?,
            redeemed,
            points: point::audit::of_orders(&self.point, &orders).await.context("reading points")?,
            paid: payment::audit::of_orders(&self.payment, &orders).await.context("reading payments")?,
        })
    }
}
