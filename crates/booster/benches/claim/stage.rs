//! Where it is measured: the servers that `scripts/bench` started, one process of promotion, and the empty server.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use kit::config::Durability;
use proto::promotion::v1 as pb;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use trial::bench::{Calls, Enough, Sample, Watched, closed, server_pid};
use trial::ground::Ground;
use trial::process::{Child, Program};

use crate::client::{Claimer, Expected, Load, RUSH, Users, connect};
use crate::empty::Empty;

/// The executable that is measured.
const PATH: &str = env!("CARGO_BIN_EXE_booster");
/// As many coupons as a deal can have: it never sells out.
const STOCK_MOST: i64 = 10_000_000;
/// Coupons of the deal that is sold out.
const FEW: u64 = 1_000;
/// How long the deals are open.
const OPEN_FOR: Duration = Duration::from_secs(3_600);
/// How long claims may take to PostgreSQL, and how often it is asked.
const ARRIVED_MOST: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct Stage {
    pub ground: Ground,
    pub watched: Watched,
    booster: Child,
    empty: Empty,
    pool: PgPool,
    /// What Redis does with its log at this moment.
    durability: Mutex<Durability>,
    /// Counts users over all deals: nobody claims twice who should not.
    users: Arc<AtomicU64>,
    /// A deal that is sold out; its winners are the first users.
    sold_out: String,
}

impl Stage {
    /// Prepares the servers, and starts the processes.
    pub async fn begin(servers: &Path) -> anyhow::Result<Self> {
        let ground = Ground::new("bench").await;
        migrate(&ground).await?;
        // The process checks Redis when it connects, so it begins with the settings that it asks for.
        append_to_disk(&ground, Durability::Fsync).await?;
        let booster = Program::new("bench-claim", PATH).args(["promotion"]).envs(ground.env()).start().await;
        let empty = Empty::start().await?;
        let mut watched = Watched::default()
            .process("client", std::process::id())
            .process("server", booster.pid().context("booster has ended")?)
            .process("server", empty.pid()?);
        for node in &ground.servers().redis_nodes {
            let port = node.rsplit(':').next().unwrap_or_default();
            watched = watched.process("redis", server_pid(&servers.join("redis").join(port))?);
        }
        let watched = watched
            .process("kafka", server_pid(&servers.join("kafka"))?)
            .family("postgres", server_pid(&servers.join("postgres"))?);
        let pool = PgPool::connect(ground.admin_url().expose()).await.context("PostgreSQL")?;
        let durability = Mutex::new(Durability::Fsync);
        let users = Arc::new(AtomicU64::new(FEW));
        let mut stage =
            Self { ground, watched, booster, empty, pool, durability, users, sold_out: "sold-out".to_owned() };
        stage.sell_out().await?;
        Ok(stage)
    }

    pub async fn end(mut self) {
        self.booster.stop().await;
        self.pool.close().await;
        self.ground.end().await;
    }

    /// Makes Redis write its log as this durability has it. The process was started with `fsync`, and goes on as it is: it
    /// asks Redis when it connects, and nothing else in it depends on the durability.
    pub async fn set(&self, durability: Durability) -> anyhow::Result<()> {
        let is = *self.durability.lock().unwrap_or_else(PoisonError::into_inner);
        if is != durability {
            append_to_disk(&self.ground, durability).await?;
            *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = durability;
        }
        Ok(())
    }

    /// A deal that is open, with more coupons than anybody can claim.
    pub async fn deal(&self, deal_id: &str) -> anyhow::Result<()> {
        self.create(deal_id, STOCK_MOST).await
    }

    /// Callers of the empty server.
    pub async fn empty(&self, load: Load) -> anyhow::Result<Vec<Claimer>> {
        self.callers(self.empty.url(), load, "nothing", self.new_users(), Expected::Nothing).await
    }

    /// Callers who each get a coupon of this deal.
    pub async fn accepted(&self, load: Load, deal_id: &str, expected: Expected) -> anyhow::Result<Vec<Claimer>> {
        self.callers(&self.booster.grpc_url(), load, deal_id, self.new_users(), expected).await
    }

    /// Callers who come too late.
    pub async fn late(&self, load: Load) -> anyhow::Result<Vec<Claimer>> {
        let url = self.booster.grpc_url();
        self.callers(&url, load, &self.sold_out, self.new_users(), Expected::SoldOut).await
    }

    /// Callers who hold a coupon of a deal that is sold out.
    pub async fn winners(&self, load: Load) -> anyhow::Result<Vec<Claimer>> {
        let users = Users::Known { next: Arc::default(), number: FEW };
        self.callers(&self.booster.grpc_url(), load, &self.sold_out, users, Expected::Held).await
    }

    /// A closed load, with the CPU time of all who take part.
    pub async fn sample(&self, callers: Vec<Claimer>, enough: Enough) -> anyhow::Result<Sample> {
        let before = self.watched.look()?;
        let calls: Calls = closed(callers, enough).await?;
        Ok(Sample { calls, spent: self.watched.look()?.since(&before) })
    }

    /// How many coupons of this deal are in PostgreSQL: events of one deal arrive in order.
    pub async fn stored(&self, deal_id: &str) -> anyhow::Result<u64> {
        let rank: Option<i64> = sqlx::query_scalar("SELECT max(rank) FROM promotion.coupon WHERE deal_id = $1")
            .bind(deal_id)
            .fetch_one(&self.pool)
            .await?;
        Ok(rank.unwrap_or_default().unsigned_abs())
    }

    /// Waits until all coupons of this deal are in PostgreSQL, and counts them.
    pub async fn arrived(&self, deal_id: &str, number: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.stored(deal_id).await? < number {
            ensure!(begun.elapsed() < ARRIVED_MOST, "{deal_id}: not all {number} coupons are in PostgreSQL");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM promotion.coupon WHERE deal_id = $1")
            .bind(deal_id)
            .fetch_one(&self.pool)
            .await?;
        ensure!(rows.unsigned_abs() == number, "{deal_id}: {rows} rows of {number} coupons");
        Ok(())
    }

    /// What a metric of the process says, summed up over its series.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(self.booster.admin_addr()).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: booster\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let series =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        Ok(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    async fn create(&self, deal_id: &str, stock: i64) -> anyhow::Result<()> {
        let off = Some(pb::discount::Off::Percent(10));
        let prize = pb::Prize { kind: Some(pb::prize::Kind::Discount(pb::Discount { off, ..Default::default() })) };
        let deal = pb::Deal {
            deal_id: deal_id.to_owned(),
            title: "Bench".to_owned(),
            venue_id: "bench".to_owned(),
            stock,
            closes_at: Some((SystemTime::now() + OPEN_FOR).into()),
            prize: Some(prize),
            ..pb::Deal::default()
        };
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: String::new() };
        let load = Load { connections: 1, in_flight: 1 };
        let mut clients = connect(&self.booster.grpc_url(), load).await?;
        let client = clients.first_mut().context("no client")?;
        client.create_deal(asked).await.with_context(|| format!("the deal {deal_id}"))?;
        Ok(())
    }

    /// Makes the deal that is sold out, and waits until it is answered from memory.
    async fn sell_out(&mut self) -> anyhow::Result<()> {
        let deal_id = self.sold_out.clone();
        self.create(&deal_id, i64::try_from(FEW)?).await?;
        let first = Users::New(Arc::default());
        let callers = self.callers(&self.booster.grpc_url(), RUSH, &deal_id, first, Expected::Coupon).await?;
        closed(callers, Enough::Calls(FEW)).await?;
        self.arrived(&deal_id, FEW).await?;
        let begun = Instant::now();
        while self.metric(FROM_MEMORY).await? == 0.0 {
            ensure!(begun.elapsed() < ARRIVED_MOST, "what is sold out is not answered from memory");
            closed(self.late(RUSH).await?, Enough::Time(LOOK_EVERY)).await?;
        }
        Ok(())
    }

    async fn callers(
        &self,
        url: &str,
        load: Load,
        deal_id: &str,
        users: Users,
        expected: Expected,
    ) -> anyhow::Result<Vec<Claimer>> {
        let clients = connect(url, load).await?;
        let won = Arc::default();
        let claimer = |client| Claimer {
            client,
            deal_id: deal_id.to_owned(),
            users: users.clone(),
            expected,
            won: Arc::clone(&won),
        };
        Ok(clients.iter().cycle().take(load.callers()).cloned().map(claimer).collect())
    }

    fn new_users(&self) -> Users {
        Users::New(self.users.clone())
    }
}

/// Counts claims that were answered without Redis.
pub const FROM_MEMORY: &str = "booster_claims_from_memory_total";

/// `booster migrate` for a ground.
pub async fn migrate(ground: &Ground) -> anyhow::Result<()> {
    told(Command::new(PATH).arg("migrate").envs(ground.env())).await.map(drop)
}

/// What a program says, where it ends well.
pub async fn told(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command.output().await.with_context(|| format!("{command:?}"))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(status.success(), "{command:?}: {stdout}{}", String::from_utf8_lossy(&stderr));
    Ok(stdout)
}

async fn append_to_disk(ground: &Ground, durability: Durability) -> anyhow::Result<()> {
    let mode = match durability {
        Durability::Fsync => "always",
        Durability::Memory => "everysec",
    };
    for node in &ground.servers().redis_nodes {
        let (host, port) = node.rsplit_once(':').context("a Redis node is host:port")?;
        told(Command::new("redis-cli").args(["-e", "-h", host, "-p", port, "config", "set", "appendfsync", mode]))
            .await?;
    }
    Ok(())
}
