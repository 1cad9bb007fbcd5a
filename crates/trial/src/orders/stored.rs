//! What PostgreSQL has of a run, read past the services: each schema under the role of its own service.

mod money;
mod order;
mod promotion;
mod ranking;

use std::str::FromStr as _;

use anyhow::{Context as _, ensure};
use kit::config::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::kept::Kept;
use super::scene::Scene;
pub(super) use order::States;

/// Reads a run.
#[derive(Clone)]
pub(super) struct Stored {
    url: Secret,
    /// Of ranking's days.
    time_zone: String,
}

impl Stored {
    pub(super) fn at(url: &Secret, time_zone: &str) -> Self {
        Self { url: url.clone(), time_zone: time_zone.to_owned() }
    }

    /// Whether PostgreSQL can be asked at all; better known before the run than after it.
    pub(super) async fn reach(&self) -> anyhow::Result<()> {
        let mut connection = self.connect("order").await?;
        let known: Option<(i32,)> = sqlx::query_as("SELECT 1 FROM pg_timezone_names WHERE name = $1")
            .bind(&self.time_zone)
            .fetch_optional(&mut connection)
            .await?;
        ensure!(known.is_some(), "--time-zone {:?} is not one that PostgreSQL knows", self.time_zone);
        Ok(connection.close().await?)
    }

    /// How many orders there are, and how many of them have ended.
    pub(super) async fn states(&self, scene: &Scene) -> anyhow::Result<States> {
        let mut connection = self.connect("order").await?;
        let states = order::states(&mut connection, &scene.user_ids()).await.context("counting orders")?;
        connection.close().await?;
        Ok(states)
    }

    /// All of it.
    pub(super) async fn kept(&self, scene: &Scene) -> anyhow::Result<Kept> {
        let (users, items) = (scene.user_ids(), item_ids(scene));
        let deals: Vec<String> = scene.deals.iter().map(|deal| deal.deal_id.clone()).collect();
        let mut kept = Kept::default();
        let mut connection = self.connect("order").await?;
        kept.orders = order::orders(&mut connection, &users, &self.time_zone).await.context("reading orders")?;
        kept.items = order::items(&mut connection, &items).await.context("reading items")?;
        connection.close().await?;
        let mut connection = self.connect("point").await?;
        kept.accounts = money::accounts(&mut connection, &users).await.context("reading accounts")?;
        kept.entries = money::entries(&mut connection, &users).await.context("reading entries")?;
        connection.close().await?;
        let mut connection = self.connect("payment").await?;
        kept.payments = money::payments(&mut connection, &users).await.context("reading payments")?;
        connection.close().await?;
        let mut connection = self.connect("promotion").await?;
        kept.coupons = promotion::coupons(&mut connection, &deals).await.context("reading coupons")?;
        connection.close().await?;
        let mut connection = self.connect("ranking").await?;
        kept.days = ranking::days(&mut connection, &items).await.context("reading scores")?;
        kept.all_time = ranking::all_time(&mut connection, &items).await.context("reading scores")?;
        connection.close().await?;
        Ok(kept)
    }

    async fn connect(&self, service: &str) -> anyhow::Result<PgConnection> {
        let url = self.url.expose().replace("{service}", service);
        let options = PgConnectOptions::from_str(&url).context("--postgres-url is not a PostgreSQL URL")?;
        let options = options.application_name("booster-trial");
        options.connect().await.with_context(|| {
            let (host, port) = (options.get_host(), options.get_port());
            format!("PostgreSQL does not let {service} in at {host}:{port}: start it with scripts/up, or say with --postgres-url where it is")
        })
    }
}

fn item_ids(scene: &Scene) -> Vec<String> {
    scene.items.iter().map(|item| item.item_id.clone()).collect()
}
