//! Checks the invariants on a live system.

use std::process::ExitCode;

use anyhow::Context as _;
use kit::config::Servers;
use promotion::deal::DealId;

use crate::say::say;

/// Check what must always be true, on the live system; exit code 1 when it is not.
///
/// For each deal: no more alive than the stock, one live coupon a seat, ranks 1, 2, 3, ... without a gap, and every coupon
/// in Redis is in PostgreSQL with the same holder, rank and seat, once what was on its way has arrived. Says what is wrong
/// and where, one line each.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    servers: Servers,
    /// Look at this deal only
    #[arg(long, value_name = "ID")]
    deal: Option<String>,
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.servers.check()?;
        let deal = self.deal.as_deref().map(DealId::parse).transpose().context("--deal")?;
        if let Some(newer) = crate::migrate::check(&self.servers, promotion::SERVICE).await? {
            say!("audit      note: {newer}");
        }
        let report = promotion::audit::run(&self.servers, deal).await?;
        for violation in &report.violations {
            say!("violation  {violation}");
        }
        say!("audit      {} deals, {} coupons, {} violations", report.deals, report.coupons, report.violations.len());
        Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
