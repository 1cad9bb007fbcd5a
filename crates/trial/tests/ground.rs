//! The test ground, on the real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::str::FromStr as _;

use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use trial::ground::Ground;

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url).unwrap().connect().await
}

#[tokio::test]
async fn each_ground_has_a_database_of_its_own_with_the_migrations_applied() {
    let (one, other) = tokio::join!(Ground::new("one"), Ground::new("other"));
    assert_ne!(one.namespace(), other.namespace());
    assert_ne!(one.database(), other.database());

    // The service's own role, on the service's own table.
    let servers = one.servers();
    servers.check().unwrap();
    assert_eq!(servers.namespace, one.namespace());
    let mut promotion = connect(servers.postgres_url_for("promotion").expose()).await.unwrap();
    let coupons: i64 =
        sqlx::query_scalar("SELECT count(*) FROM promotion.coupon").fetch_one(&mut promotion).await.unwrap();
    assert_eq!(coupons, 0);
    let applied: i64 =
        sqlx::query_scalar("SELECT count(*) FROM promotion.migrations").fetch_one(&mut promotion).await.unwrap();
    assert!(applied >= 1);

    one.end().await;
    other.end().await;
}

#[tokio::test]
async fn the_end_removes_the_database_whoever_uses_it() {
    let ground = Ground::new("end").await;
    let url = ground.admin_url();
    let _connection = connect(url.expose()).await.unwrap();
    ground.end().await;
    assert!(connect(url.expose()).await.is_err());
}

#[tokio::test]
async fn many_grounds_are_made_at_once() {
    let grounds = join_all((0..8).map(|number| Ground::new(["a", "b"][number % 2]))).await;
    for ground in grounds {
        ground.end().await;
    }
}

#[tokio::test]
async fn a_child_process_is_told_the_same() {
    let ground = Ground::new("A child, told").await;
    let env = ground.env();
    let value = |name: &str| env.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(value("BOOSTER_NAMESPACE"), ground.namespace());
    assert!(value("BOOSTER_POSTGRES_URL").contains("{service}"));
    assert!(value("BOOSTER_POSTGRES_URL").ends_with(ground.database()));
    assert_eq!(value("BOOSTER_POSTGRES_ADMIN_URL"), ground.admin_url().expose());
    ground.end().await;
}
