//! Redis is away for a moment, or has lost its functions or all that it had: sales go on, and then the boards catch up. PostgreSQL
//! crashes: nothing is counted twice, and nothing is lost.

use std::sync::Arc;

use kit::config::{Durability, Secret, Servers};
use kit::postgres::{Schema, migrate};
use sqlx::migrate::Migrator;
use trial::servers::Private;

use crate::calendar::{noon, sunday};
use crate::scene::{Scene, order, paid};
use crate::service::{Service, until};

static BUS: Migrator = sqlx::migrate!("../../migrations/bus");
static RANKING: Migrator = sqlx::migrate!("../../migrations/ranking");
static ORDER: Migrator = sqlx::migrate!("../../migrations/order");

/// Servers of the test's own, prepared.
async fn servers(private: &Private) -> (Servers, Secret) {
    let env = private.env();
    let value = |name: &str| env.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let servers = Servers {
        redis_nodes: value("BOOSTER_REDIS_NODES").split(',').map(str::to_owned).collect(),
        redis_username: None,
        redis_password: None,
        durability: Durability::Fsync,
        kafka_brokers: value("BOOSTER_KAFKA_BROKERS"),
        postgres_url: value("BOOSTER_POSTGRES_URL").into(),
        postgres_connections: 8,
        namespace: String::new(),
    };
    let admin: Secret = value("BOOSTER_POSTGRES_ADMIN_URL").into();
    for (service, own) in [("order", &ORDER), (ranking::SERVICE, &RANKING)] {
        migrate(&admin, &servers, &Schema { service, bus: &BUS, own }).await.unwrap();
    }
    (servers, admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_go_on_while_redis_is_away_and_all_is_right_after_a_crash() {
    let private = Arc::new(tokio::task::spawn_blocking(|| Private::start("ranking-away")).await.unwrap());
    let (servers, admin) = servers(&private).await;
    let scene = Scene::on(servers.clone(), admin).await;
    let mut service = Service::start(&servers, &[]).await;
    let (day, mut sold) = (sunday(), 0);
    let mut sell = async || {
        sold += 1;
        scene.tell(&[paid(&order(&format!("o{sold}"), noon(day), &[("tea", 1, "v")]))]).await;
        sold
    };
    let number = sell().await;
    service.until_day(day, &[("tea", number)]).await;

    let hurt = private.clone();
    tokio::task::spawn_blocking(move || hurt.kill_redis_primaries()).await.unwrap();
    for _ in 0..5 {
        sell().await;
    }
    scene.counted().await;
    assert!(scene.number("SELECT count(*) FROM ranking.day_score WHERE applied < version").await > 0);
    assert_eq!(scene.number("SELECT score FROM ranking.all_time").await, 6, "sales are counted all the same");
    let hurt = private.clone();
    tokio::task::spawn_blocking(move || hurt.restart_redis()).await.unwrap();
    scene.settled().await;
    let number = sell().await;
    service.until_day(day, &[("tea", number)]).await;
    service.until_week(day, &[("tea", number)]).await;
    service.until_all_time(&[("tea", number)]).await;

    // No client sees that functions are gone (F7).
    private.flush_functions();
    service.until_day(day, &[("tea", number)]).await;
    private.flush_functions();
    let number = sell().await;
    service.until_day(day, &[("tea", number)]).await;

    // All that Redis had is gone.
    for node in private.primaries() {
        private.empty(&node);
    }
    service.until_day(day, &[("tea", number)]).await;
    service.until_week(day, &[("tea", number)]).await;
    service.until_all_time(&[("tea", number)]).await;

    // It has no room for anything new: sales wait for it, and are not lost.
    private.fill_memory();
    let number = sell().await;
    scene.counted().await;
    private.free_memory();
    service.until_day(day, &[("tea", number)]).await;
    until("everything is on the boards", async || {
        scene.number("SELECT count(*) FROM ranking.day_score WHERE applied < version").await == 0
    })
    .await;
    // PostgreSQL crashes while it counts (F17).
    let batch: Vec<_> = (0..300).map(|nth| paid(&order(&format!("c{nth}"), noon(day), &[("tea", 1, "v")]))).collect();
    scene.tell(&batch).await;
    let hurt = private.clone();
    tokio::task::spawn_blocking(move || hurt.crash_postgres()).await.unwrap();
    scene.settled().await;
    service.until_day(day, &[("tea", number + 300)]).await;
    service.until_all_time(&[("tea", number + 300)]).await;
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}
