//! Where it is measured: the servers that `scripts/bench` started, every service in one process, and the provider.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use proto::order::v1 as orders;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::point::v1 as points;
use proto::point::v1::point_service_client::PointServiceClient;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use proto::r#type::v1::Money;
use sqlx::PgPool;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};
use trial::bench::{Calls, Enough, Sample, Watched, closed, server_pid};
use trial::ground::Ground;
use trial::process::{Child, Program};
use trial::provider::Provider;

use crate::caller::{ITEMS, Kind, PRICE, Placer, item, user};
use crate::two_rows;

/// The executable that is measured.
const PATH: &str = env!("CARGO_BIN_EXE_booster");
/// Connections of the client, and calls in flight on each.
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 32;
/// Calls that prepare a turn, in flight at once.
const PREPARING: usize = 100;
/// On hand of each item.
const STOCK: i64 = 1_000_000_000;
/// Points of each user.
const EARNED: i64 = 1_000_000;
/// How long all orders of a turn may take, and how often it is looked.
const PAID_MOST: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(25);

pub struct Stage {
    ground: Ground,
    booster: Child,
    provider: Provider,
    watched: Watched,
    pool: PgPool,
    channels: Vec<Channel>,
}

impl Stage {
    /// Prepares the servers, and starts the processes.
    pub async fn begin(servers: &Path) -> anyhow::Result<Self> {
        let ground = Ground::new("bench-saga").await;
        told(Command::new(PATH).arg("migrate").envs(ground.env())).await?;
        let provider = Provider::try_start("bench-saga", PATH.as_ref()).await?;
        let mut env = ground.env();
        env.push(("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), provider.url().to_owned()));
        let booster = Program::new("bench-saga", PATH).args(["all"]).envs(env).start().await;
        let mut watched = Watched::default()
            .process("client", std::process::id())
            .process("booster", booster.pid().context("booster has ended")?)
            .process("provider", provider.pid().context("the provider has ended")?);
        for node in &ground.servers().redis_nodes {
            let port = node.rsplit(':').next().unwrap_or_default();
            watched = watched.process("redis", server_pid(&servers.join("redis").join(port))?);
        }
        let watched = watched
            .process("kafka", server_pid(&servers.join("kafka"))?)
            .family("postgres", server_pid(&servers.join("postgres"))?);
        let pool = PgPool::connect(ground.admin_url().expose()).await.context("PostgreSQL")?;
        sqlx::raw_sql(two_rows::TABLES).execute(&pool).await.context("the tables of pgbench")?;
        let channel = || anyhow::Ok(Endpoint::from_shared(booster.grpc_url())?.connect_lazy());
        let channels = (0..CONNECTIONS).map(|_| channel()).collect::<Result<Vec<_>, _>>()?;
        let stage = Self { ground, booster, provider, watched, pool, channels };
        stage.put_items().await?;
        Ok(stage)
    }

    /// `booster audit` has the last word, with the provider's log.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let log = self.provider.log().to_owned();
        told(Command::new(PATH).arg("audit").arg("--provider-log").arg(log).envs(self.ground.env())).await?;
        self.booster.stop().await;
        self.pool.close().await;
        self.ground.end().await;
        Ok(())
    }

    pub async fn two_rows(&self, time: Duration) -> anyhow::Result<Sample> {
        two_rows::sample(self.ground.admin_url().expose(), &self.watched, time).await
    }

    /// So many orders of a kind: their placing, and all of it until the last one is paid.
    pub async fn orders(&self, kind: Kind, number: u64, round: usize) -> anyhow::Result<(Sample, Sample)> {
        let turn = format!("{kind:?}-{round}").to_lowercase();
        if kind == Kind::Whole {
            self.equip(&turn, number).await?;
        }
        let next = Arc::default();
        let placer = |channel: &Channel| Placer {
            client: OrderServiceClient::new(channel.clone()),
            kind,
            turn: turn.clone(),
            next: Arc::clone(&next),
        };
        let placers: Vec<Placer> = self.channels.iter().map(placer).collect();
        let placers = placers.iter().cycle().take(CONNECTIONS * IN_FLIGHT).cloned().collect();
        let before: i64 = self.paid().await?;
        let (spent, begun) = (self.watched.look()?, Instant::now());
        let placed = closed(placers, Enough::Calls(number)).await?;
        let placing = self.watched.look()?.since(&spent);
        while self.paid().await? < before + i64::try_from(number)? {
            ensure!(begun.elapsed() < PAID_MOST, "not all {number} orders are paid");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = begun.elapsed();
        let spent = self.watched.look()?.since(&spent);
        let paid = Sample { calls: Calls { number, took, waits: placed.waits.clone() }, spent };
        Ok((Sample { calls: placed, spent: placing }, paid))
    }

    async fn paid(&self) -> anyhow::Result<i64> {
        let paid = r#"SELECT count(*) FROM "order".orders WHERE state = 'PAID'"#;
        Ok(sqlx::query_scalar(paid).fetch_one(&self.pool).await?)
    }

    async fn put_items(&self) -> anyhow::Result<()> {
        let mut client = OrderServiceClient::new(self.channels[0].clone());
        for number in 0..ITEMS {
            let item = orders::Item {
                item_id: item(number),
                venue_id: "bench".to_owned(),
                name: "Soup".to_owned(),
                price: Some(Money { currency: "KRW".to_owned(), minor_units: PRICE }),
                stock: STOCK,
                sold: 0,
            };
            client.put_item(orders::PutItemRequest { item: Some(item) }).await.context("PutItem")?;
        }
        Ok(())
    }

    /// A deal, a coupon of it for each user in the order of ranks, and points.
    async fn equip(&self, turn: &str, number: u64) -> anyhow::Result<()> {
        let mut promotion = PromotionServiceClient::new(self.channels[0].clone());
        let off = Some(pb::discount::Off::Percent(10));
        let prize = pb::Prize { kind: Some(pb::prize::Kind::Discount(pb::Discount { off, ..Default::default() })) };
        let deal = pb::Deal {
            deal_id: turn.to_owned(),
            title: "Bench".to_owned(),
            venue_id: "bench".to_owned(),
            stock: i64::try_from(number)?,
            closes_at: Some((SystemTime::now() + Duration::from_secs(3_600)).into()),
            prize: Some(prize),
            ..pb::Deal::default()
        };
        promotion.create_deal(pb::CreateDealRequest { deal: Some(deal), request_id: String::new() }).await?;
        let users = (0..number).map(|number| user(Kind::Whole, turn, number));
        // In their order: a user's rank is his number and one.
        let claims = users.clone().map(|user_id| {
            let mut client = promotion.clone();
            let asked = pb::ClaimCouponRequest { deal_id: turn.to_owned(), user_id, pass: String::new() };
            async move { client.claim_coupon(asked).await.map(drop) }
        });
        futures::stream::iter(claims).buffered(1).try_collect::<Vec<()>>().await.context("ClaimCoupon")?;
        let point = PointServiceClient::new(self.channels[1].clone());
        let earns = users.map(|user_id| {
            let mut client = point.clone();
            let request_id = format!("earn-{user_id}");
            let asked = points::EarnPointsRequest { user_id, amount: EARNED, request_id, ..Default::default() };
            async move { client.earn_points(asked).await.map(drop) }
        });
        let earns = futures::stream::iter(earns).buffer_unordered(PREPARING);
        earns.try_collect::<Vec<()>>().await.context("EarnPoints")?;
        Ok(())
    }
}

/// What a program says, where it ends well.
async fn told(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command.output().await.with_context(|| format!("{command:?}"))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(status.success(), "{command:?}: {stdout}{}", String::from_utf8_lossy(&stderr));
    Ok(stdout)
}
