//! Checks the invariants on a live system.

mod across;
mod judge;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use kit::config::Servers;
use promotion::deal::DealId;

use crate::say::say;
use crate::services::{self, SERVICES, Service};

/// Check what must always be true, on the live system; exit code 1 when it is not.
///
/// For each deal: no more alive than the stock, one live coupon a seat, ranks 1, 2, 3, ... without a gap, and every coupon
/// in Redis is in PostgreSQL with the same holder, rank and seat, once what was on its way has arrived. Stock agrees with the
/// orders that took it; every balance of points is the sum of its entries; no order is charged twice; boards are what was sold. And for
/// each order, by its end: whoever has paid has its coupon, its points and its charge, and of what was undone nothing is left anywhere.
///
/// Orders that are not finished are counted, and not judged; what may only be on its way is looked at again before it is called
/// wrong. Says what is wrong and where, one line each, and one line for each service.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    servers: Servers,
    /// Look at this deal only
    #[arg(long, value_name = "ID")]
    deal: Option<String>,
    /// The log of the sandbox provider, to be held against the payments; only of a provider that serves nobody else
    #[arg(long, env = "BOOSTER_AUDIT_PROVIDER_LOG", value_name = "PATH", conflicts_with = "deal")]
    provider_log: Option<PathBuf>,
}

/// How many sentences were said.
#[derive(Default)]
struct Said(usize);

impl Said {
    /// A line for each violation, and one that sums up.
    fn say(&mut self, violations: &[String], looked_at: &str) {
        for violation in violations {
            say!("violation  {violation}");
        }
        say!("audit      {looked_at}, {} violations", violations.len());
        self.0 += violations.len();
    }
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.servers.check()?;
        let deal = self.deal.as_deref().map(DealId::parse).transpose().context("--deal")?;
        let is_meant = |service: &&Service| deal.is_none() || service.name() == promotion::SERVICE;
        for service in SERVICES.iter().filter(is_meant) {
            if let Some(newer) = services::check(&self.servers, service.name()).await? {
                say!("audit      note: {newer}");
            }
        }
        let mut said = Said::default();
        if deal.is_none() {
            self.look_at_orders(&mut said).await?;
        }
        let report = promotion::audit::run(&self.servers, deal).await?;
        said.say(&report.violations, &format!("{} deals, {} coupons", report.deals, report.coupons));
        Ok(if said.0 == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Everything that takes part in an order, each by itself and all together.
    async fn look_at_orders(&self, said: &mut Said) -> anyhow::Result<()> {
        let servers = &self.servers;
        let report = order::audit::run(servers).await?;
        let order::audit::Report { items, orders, unfinished, violations } = report;
        said.say(&violations, &format!("{items} items, {orders} orders, {unfinished} of them unfinished"));
        let report = point::audit::run(servers).await?;
        said.say(&report.violations, &format!("{} accounts, {} entries", report.accounts, report.entries));
        let report = payment::audit::run(servers).await?;
        let payment::audit::Report { payments, unsettled, overdue, violations } = report;
        said.say(&violations, &format!("{payments} payments, {unsettled} of them unsettled, {overdue} overdue"));
        if let Some(log) = &self.provider_log {
            let report = payment::audit::against_log(servers, log).await?;
            let payments = report.payments;
            said.say(&report.violations, &format!("{payments} payments held against the log of the provider"));
        }
        let report = ranking::audit::run(servers).await?;
        said.say(&report.violations, &format!("{} sales, {} boards", report.sales, report.boards));
        let across::Report { orders, unfinished, violations } = across::run(servers).await?;
        let looked_at = format!("{orders} orders held against all services, {unfinished} of them unfinished");
        said.say(&violations, &looked_at);
        Ok(())
    }
}
