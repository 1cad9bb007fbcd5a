//! A ledger in a database of its own, the process that keeps it, and plain tables beside it.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use clap::Parser as _;
use kit::boot::Process;
use kit::config::{ProcessArgs, Secret, Servers};
use point::account::UserId;
use point::apply::Books;
use point::lane::Lanes;
use point::operation::{Asked, Operation};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};
use tokio::task::JoinSet;
use trial::ground::Ground;

/// Accounts, besides the one that everybody wants.
pub const ACCOUNTS: u32 = 10_000;
/// What each has at the beginning: more than is taken.
const POINTS: i64 = 1_000_000_000;
/// Accounts that are made with one transaction.
const MADE_AT_ONCE: usize = 1_000;
/// Connections of the service, and of those who do it otherwise.
const CONNECTIONS: u32 = 16;
/// How long the outbox may take until all of it is sent, and how often it is asked whether it is.
const SENT_MOST: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where it is measured.
pub struct Place {
    /// The way to the ledger.
    pub lanes: Lanes,
    /// For those who do it otherwise.
    pub plain: PgPool,
    ground: Ground,
    process: Process,
    running: JoinSet<ExitCode>,
}

/// What a process needs that nobody asks anything.
#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// The name of an account; 0 is the one that everybody wants.
pub fn account(nth: u32) -> UserId {
    UserId::parse(&format!("user-{nth}")).unwrap_or_else(|_| UserId::random())
}

impl Place {
    pub async fn new() -> anyhow::Result<Self> {
        let ground = Ground::new("bench-point").await;
        let servers = Servers { postgres_connections: CONNECTIONS, ..ground.servers() };
        bus::topic::make(&servers, point::SERVICE).await?;
        let pool = kit::postgres::connect(&servers, point::SERVICE).await?;
        let any = "127.0.0.1:0";
        let flags = ["bench", "--grpc-addr", any, "--admin-addr", any, "--log-filter", "warn,sqlx=error"];
        let process = Process::start(&Flags::parse_from(flags).process, &[]).await?;
        let outbox = Outbox::default();
        let relay = Relay {
            service: point::SERVICE,
            connection: kit::postgres::options(&servers, point::SERVICE)?,
            servers,
            pool: pool.clone(),
            outbox: outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(&process, relay).await?;
        let books = Books { pool, outbox, tell: point::kafka::event };
        let lanes = Lanes::start(&process, &books);
        let mut running = JoinSet::new();
        running.spawn(process.clone().run_to_end());
        let admin = PgConnectOptions::from_str(ground.admin_url().expose()).context("the admin's URL")?;
        let plain = PgPool::connect_with(admin.disable_statement_logging()).await.context("PostgreSQL")?;
        let place = Self { lanes, plain, ground, process, running };
        place.open_accounts(&books).await?;
        place.make_plain().await?;
        place.all_sent().await?;
        Ok(place)
    }

    pub async fn end(mut self) -> anyhow::Result<()> {
        self.process.stop();
        let code = self.running.join_next().await.context("the process was not running")??;
        ensure!(code == ExitCode::SUCCESS, "the process has failed");
        let report = point::audit::run(&self.ground.servers()).await?;
        ensure!(report.violations.is_empty(), "the ledger does not add up: {:?}", report.violations);
        self.plain.close().await;
        self.ground.end().await;
        Ok(())
    }

    /// The URL of its database.
    pub fn url(&self) -> Secret {
        self.ground.admin_url()
    }

    /// Waits until every event is sent: what is told of one turn must not disturb the next.
    pub async fn all_sent(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let statement = "SELECT EXISTS (SELECT FROM generate_series(0, 15) AS own (slot) CROSS JOIN LATERAL (
               SELECT FROM point.outbox WHERE outbox.slot = own.slot AND sent_at IS NULL LIMIT 1) AS row)";
        while sqlx::query_scalar::<_, bool>(statement).fetch_one(&self.plain).await? {
            ensure!(begun.elapsed() < SENT_MOST, "not all of the outbox was sent within {SENT_MOST:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn open_accounts(&self, books: &Books) -> anyhow::Result<()> {
        let earn = |nth| Operation::Earn { user_id: account(nth), amount: POINTS, expires_at: None, reason: None };
        let asked: Vec<Asked> = (0..=ACCOUNTS).map(|nth| Asked { operation: earn(nth), request: None }).collect();
        for part in asked.chunks(MADE_AT_ONCE) {
            let done = books.apply(&part.iter().collect::<Vec<_>>()).await;
            done.map_err(|failed| anyhow!("accounts cannot be opened: {:?}", failed.error()))?;
        }
        sqlx::raw_sql("VACUUM (ANALYZE) point.account, point.entry").execute(&self.plain).await?;
        Ok(())
    }

    /// A table for single-row updates, and what those need who do it otherwise: the same number of accounts, and room for entries.
    async fn make_plain(&self) -> anyhow::Result<()> {
        let statements = "CREATE SCHEMA bench;
             CREATE TABLE bench.plain (id integer PRIMARY KEY, balance bigint NOT NULL);
             INSERT INTO bench.plain SELECT n, 1000000000 FROM generate_series(0, 10000) AS n;
             CREATE TABLE bench.account (id integer PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL DEFAULT 0);
             INSERT INTO bench.account SELECT n, 1000000000 FROM generate_series(0, 10000) AS n;
             CREATE TABLE bench.entry (id bigserial PRIMARY KEY, account integer NOT NULL, amount bigint NOT NULL,
               created_at timestamptz NOT NULL DEFAULT clock_timestamp());
             CREATE INDEX entry_by_account ON bench.entry (account, id);
             CREATE TABLE bench.sum (LIKE bench.entry INCLUDING ALL);
             INSERT INTO bench.sum (account, amount) SELECT n, 1000000000 FROM generate_series(0, 10000) AS n";
        sqlx::raw_sql(statements).execute(&self.plain).await?;
        sqlx::raw_sql("VACUUM (ANALYZE) bench.plain, bench.account, bench.sum").execute(&self.plain).await?;
        Ok(())
    }
}
