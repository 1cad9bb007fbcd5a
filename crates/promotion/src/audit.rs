//! The audit: Redis = PostgreSQL + what is on its way, for every deal; and nothing is parked.

mod judge;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus::arrival::{self, Arrival};
use bus::journal::{Keys, Tag};
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;

use crate::deal::DealId;
use crate::postgres::deal::Fate;
use crate::postgres::{coupon, deal, list};
use crate::redis::{Answer, Deals};
use judge::Snapshot;

/// How long what is on its way may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a deal with violations is looked at before they are believed, and the pause between.
const LOOKS: usize = 3;
const AGAIN: Duration = Duration::from_secs(1);
/// Deals read at once.
const PAGE: i64 = 500;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Deals looked at.
    pub deals: usize,
    /// Coupons looked at.
    pub coupons: usize,
    /// What is wrong and where, one sentence each.
    pub violations: Vec<String>,
}

/// Looks at one deal, or at all. The services may run meanwhile.
///
/// # Errors
/// A store cannot be reached: nothing can be said.
pub async fn run(servers: &Servers, only: Option<DealId>) -> anyhow::Result<Report> {
    let pool = kit::postgres::connect(servers, crate::SERVICE).await?;
    let redis = Redis::connect(servers, 1, crate::LIBRARIES).await?;
    let deals = Deals::new(redis.clone(), servers);
    let keys = Keys::new(servers, crate::SERVICE);
    let auditor = Auditor { pool, redis, keys, deals, behind: Mutex::default() };
    let mut report = Report::default();
    match only {
        Some(deal_id) => auditor.look(&deal_id, &mut report).await?,
        None => auditor.look_at_all(&mut report).await?,
    }
    for (consumer, count) in arrival::parked(&auditor.pool).await? {
        report
            .violations
            .push(format!("{count} events of the consumer {consumer} are parked, `booster dlq list` shows them (I10)"));
    }
    auditor.redis.close().await;
    Ok(report)
}

struct Auditor {
    pool: Pool,
    redis: Redis,
    keys: Keys,
    deals: Deals,
    /// Tags that did not arrive in time.
    behind: Mutex<HashSet<Tag>>,
}

impl Auditor {
    async fn look_at_all(&self, report: &mut Report) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let names = list::names(&self.pool, &after, PAGE).await?;
            let Some(last) = names.last() else { return Ok(()) };
            after = last.to_string();
            for deal_id in &names {
                self.look(deal_id, report).await?;
            }
        }
    }

    /// What is on its way for a moment is not a violation: it is looked at again before it is called one.
    async fn look(&self, deal_id: &DealId, report: &mut Report) -> anyhow::Result<()> {
        report.deals += 1;
        for _ in 1..LOOKS {
            let mut seen = Report::default();
            self.look_once(deal_id, &mut seen).await?;
            if seen.violations.is_empty() {
                report.coupons += seen.coupons;
                return Ok(());
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.look_once(deal_id, report).await
    }

    async fn look_once(&self, deal_id: &DealId, report: &mut Report) -> anyhow::Result<()> {
        match deal::fate(&self.pool, deal_id).await? {
            Fate::Unknown => {
                report.violations.push(format!("{deal_id}: there is no such deal in PostgreSQL"));
                return Ok(());
            }
            Fate::Archived => return self.look_at_archived(deal_id, report).await,
            Fate::Made => {}
        }
        let Some(snapshot) = self.snapshot(deal_id, report).await? else { return Ok(()) };
        let tag = Tag::of(deal_id.as_str());
        match self.arrival(tag).await? {
            Arrival::Complete => {
                let rows = coupon::audited(&self.pool, deal_id).await?;
                report.coupons += rows.len();
                if let Answer::Found(after) = self.deals.look(deal_id).await? {
                    let phantoms = rows.iter().filter(|row| row.rank > after.issued);
                    report.violations.extend(phantoms.map(|row| {
                        format!(
                            "{deal_id}: rank {} of {} is in PostgreSQL, and was never issued (I4)",
                            row.rank, row.user_id
                        )
                    }));
                }
                report
                    .violations
                    .extend(snapshot.violations(&rows).into_iter().map(|what| format!("{deal_id}: {what}")));
            }
            Arrival::Behind { progress, last } => report.violations.push(format!(
                "{deal_id}: the journal of tag {tag} holds {}, and after {PATIENCE:?} only {} has taken effect (I10)",
                last.entry, progress.entry
            )),
            Arrival::Frozen => {
                report.violations.push(format!("{deal_id}: tag {tag} is frozen: its node is not allowed"))
            }
        }
        Ok(())
    }

    /// A deal that has left Redis: PostgreSQL alone has to be right.
    async fn look_at_archived(&self, deal_id: &DealId, report: &mut Report) -> anyhow::Result<()> {
        if let Answer::Found(_) = self.deals.look(deal_id).await? {
            report.violations.push(format!("{deal_id}: it is archived in PostgreSQL, and still in Redis"));
        }
        let rows = coupon::audited(&self.pool, deal_id).await?;
        report.coupons += rows.len();
        let found = match deal::get(&self.pool, deal_id).await?.and_then(|row| row.course) {
            Some(course) => judge::archived(&course, &rows),
            None => vec!["it is archived, and nobody knows how it stood".to_owned()],
        };
        report.violations.extend(found.into_iter().map(|what| format!("{deal_id}: {what}")));
        Ok(())
    }

    /// Each tag is waited for once with patience; where that was not enough, it is only looked at again.
    async fn arrival(&self, tag: Tag) -> anyhow::Result<Arrival> {
        let is_behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner).contains(&tag);
        let patience = if is_behind { AGAIN } else { PATIENCE };
        let arrival = arrival::wait(&self.redis, &self.pool, &self.keys, tag, patience).await?;
        if matches!(arrival, Arrival::Behind { .. }) {
            self.behind.lock().unwrap_or_else(PoisonError::into_inner).insert(tag);
        }
        Ok(arrival)
    }

    /// The deal in Redis, in one moment if nothing happens meanwhile.
    async fn snapshot(&self, deal_id: &DealId, report: &mut Report) -> anyhow::Result<Option<Snapshot>> {
        let why = match (self.deals.look(deal_id).await?, self.deals.holders(deal_id).await?) {
            (Answer::Found(before), Answer::Found(holders)) => {
                if let Answer::Found(after) = self.deals.look(deal_id).await? {
                    let still = (before.sequence, before.entry) == (after.sequence, after.entry);
                    return Ok(Some(Snapshot { course: before, holders, still }));
                }
                "it has just become frozen"
            }
            (Answer::Archived, _) | (_, Answer::Archived) => "it has left Redis, and PostgreSQL has not noted that",
            (Answer::Missing, _) | (_, Answer::Missing) => "it is in PostgreSQL and not in Redis: frozen",
            (Answer::Frozen, _) | (_, Answer::Frozen) => "its Redis node is not allowed: frozen",
        };
        report.violations.push(format!("{deal_id}: {why}"));
        Ok(None)
    }
}
