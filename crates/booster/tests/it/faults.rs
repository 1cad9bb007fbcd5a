//! The servers are hurt while people claim, and nothing that was told yes is lost or given twice.

mod fence;
mod kafka;
mod memory;
mod orders;
mod postgres;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use bus::journal::Tag;
use sqlx::Connection as _;
use trial::process::{Child, Program};
use trial::servers::Private;

use crate::booster::{PATH, is_full, told_with};
use crate::crowd::Crowd;

/// More coupons than any crowd here can take: everybody has to be told yes.
const PLENTY: u32 = 1_000_000;

/// Servers of a test's own, and two processes of promotion on them.
struct Field {
    servers: Arc<Private>,
    processes: Vec<Child>,
}

impl Field {
    async fn start(name: &'static str) -> Self {
        let servers = tokio::task::spawn_blocking(move || Private::start(name)).await.unwrap();
        told_with(servers.env(), &["migrate"]).await;
        let mut processes = Vec::new();
        for _ in 0..2 {
            processes.push(Program::new(name, PATH).args(["promotion"]).envs(servers.env()).start().await);
        }
        Self { servers: Arc::new(servers), processes }
    }

    fn urls(&self) -> Vec<String> {
        self.processes.iter().map(Child::grpc_url).collect()
    }

    /// A crowd for a new deal with plenty of coupons.
    async fn crowd(&self, deal_id: &str) -> Crowd {
        Crowd::gather(&self.urls(), deal_id, PLENTY).await
    }

    /// Does something to the servers that blocks.
    async fn with<T: Send + 'static>(&self, hurt: impl FnOnce(&Private) -> T + Send + 'static) -> T {
        let servers = self.servers.clone();
        tokio::task::spawn_blocking(move || hurt(&servers)).await.unwrap()
    }

    /// What each of the crowds was told is in PostgreSQL, each event took effect once, and the audit finds nothing.
    async fn assert_exact(&self, crowds: &[&Crowd]) {
        for crowd in crowds {
            crowd.assert_exact(&self.servers.postgres_url()).await;
        }
        let audit = told_with(self.servers.env(), &["audit"]).await;
        assert!(audit.ends_with(" 0 violations\n"), "{audit}");
        // A coupon's version counts its events.
        let once =
            "SELECT (SELECT count(*) FROM promotion.inbox) - (SELECT sum(version) FROM promotion.coupon)::bigint";
        assert_eq!(self.count(once).await, 0, "the inbox knows events that no coupon does, or lacks some");
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut self.sql().await).await.unwrap()
    }

    async fn sql(&self) -> sqlx::PgConnection {
        let url = self.servers.postgres_url().expose().replace("{service}", "promotion");
        sqlx::PgConnection::connect(&url).await.unwrap()
    }
}

/// The fence of the tag that a deal belongs to.
fn fence(deal_id: &str) -> String {
    format!("{{promotion:{}}}:fence", Tag::of(deal_id))
}

/// The journal of the tag that a deal belongs to.
fn journal(deal_id: &str) -> String {
    format!("{{promotion:{}}}:journal", Tag::of(deal_id))
}

/// So many seconds in every run, or in one at full size.
fn seconds(normal: u64, full: u64) -> Duration {
    Duration::from_secs(if is_full() { full } else { normal })
}
