//! The road from the journal to the table: repeats take effect once, and what cannot be read does not stop the rest.

use std::collections::HashMap;
use std::time::Duration;

use bus::journal::{Keys, Tag};
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::config::{Config, ServerConfig};
use kit::config::Servers;
use proto::promotion::v1 as pb;
use sqlx::Connection as _;

use crate::service::Service;

/// A connection to the cluster for what no service would do.
pub async fn connect(servers: &Servers) -> fred::clients::Client {
    let nodes = servers.redis_nodes.iter().map(|node| {
        let (host, port) = node.split_once(':').unwrap();
        (host.to_owned(), port.parse::<u16>().unwrap())
    });
    let config = Config { server: ServerConfig::new_clustered(nodes.collect::<Vec<_>>()), ..Config::default() };
    let client = fred::types::Builder::from_config(config).build().unwrap();
    client.init().await.unwrap();
    client
}

async fn last_entry(redis: &fred::clients::Client, journal: &str) -> HashMap<String, String> {
    let last: Vec<(String, HashMap<String, String>)> =
        redis.xrevrange_values(journal, "+", "-", Some(1)).await.unwrap();
    last[0].1.clone()
}

async fn count(service: &Service, statement: &'static str) -> i64 {
    let mut admin = sqlx::PgConnection::connect(service.ground.admin_url().expose()).await.unwrap();
    sqlx::query_scalar(statement).fetch_one(&mut admin).await.unwrap()
}

#[tokio::test]
async fn a_damaged_entry_is_parked_and_the_journal_goes_on() {
    let mut service = Service::start("road-damaged").await;
    service.deal("lunch", 5).await;
    service.claim("lunch", "ann").await.unwrap();
    let journal = Keys::new(&service.ground.servers(), promotion::SERVICE).journal(Tag::of("lunch"));
    let redis = connect(&service.ground.servers()).await;
    let whole = last_entry(&redis, &journal).await;
    for (name, value) in [("rank", "x"), ("at", "-9000000000000000"), ("terms", "{}")] {
        let mut damaged = whole.clone();
        damaged.insert(name.to_owned(), value.to_owned());
        let fields: Vec<(String, String)> = damaged.into_iter().collect();
        let _: String = redis.xadd(&journal, false, None, "*", fields).await.unwrap();
    }
    service.claim("lunch", "bob").await.unwrap();
    let listed = service.arrived("lunch", 2).await;
    assert_eq!(listed.iter().map(|coupon| coupon.user_id.as_str()).collect::<Vec<_>>(), ["bob", "ann"]);
    let parked = "SELECT count(*) FROM promotion.parked WHERE consumer = 'promotion.relay'";
    assert_eq!(count(&service, parked).await, 3);
    redis.quit().await.unwrap();
    service.end().await;
}

#[tokio::test]
async fn what_has_taken_effect_leaves_the_journal() {
    let mut service = Service::start("road-trim").await;
    service.deal("lunch", 50).await;
    for user in 0..10 {
        service.claim("lunch", &format!("u{user}")).await.unwrap();
    }
    service.arrived("lunch", 10).await;
    let journal = Keys::new(&service.ground.servers(), promotion::SERVICE).journal(Tag::of("lunch"));
    let redis = connect(&service.ground.servers()).await;
    for _ in 0..100 {
        let length: i64 = redis.xlen(&journal).await.unwrap();
        // The entry at the progress itself stays: only what is strictly below is dropped.
        if length == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(redis.xlen::<i64, _>(&journal).await.unwrap(), 1);
    assert_eq!(count(&service, "SELECT count(*) FROM promotion.coupon").await, 10);
    redis.quit().await.unwrap();
    service.end().await;
}

#[tokio::test]
async fn what_is_relayed_twice_takes_effect_once() {
    let mut service = Service::start("road-twice").await;
    service.deal("lunch", 50).await;
    for user in 0..10 {
        service.claim("lunch", &format!("u{user}")).await.unwrap();
    }
    service.arrived("lunch", 10).await;
    let journal = Keys::new(&service.ground.servers(), promotion::SERVICE).journal(Tag::of("lunch"));
    let redis = connect(&service.ground.servers()).await;
    // The same coupons once more, as entries of their own: other ids, so that the inbox lets them pass to the table.
    let fields: Vec<(String, String)> = last_entry(&redis, &journal).await.into_iter().collect();
    let _: String = redis.xadd(&journal, false, None, "*", fields).await.unwrap();
    service.claim("lunch", "u10").await.unwrap();
    assert_eq!(service.arrived("lunch", 11).await.len(), 11);
    assert_eq!(count(&service, "SELECT count(*) FROM promotion.parked").await, 0);
    assert_eq!(count(&service, "SELECT max(version) FROM promotion.coupon").await, 1);
    redis.quit().await.unwrap();
    service.end().await;
}

#[tokio::test]
async fn an_older_event_after_a_newer_one_changes_nothing() {
    let mut service = Service::start("road-late").await;
    service.deal("lunch", 5).await;
    service.claim("lunch", "ann").await.unwrap();
    let journal = Keys::new(&service.ground.servers(), promotion::SERVICE).journal(Tag::of("lunch"));
    let redis = connect(&service.ground.servers()).await;
    let claimed: Vec<(String, String)> = last_entry(&redis, &journal).await.into_iter().collect();
    let asked = pb::ReturnCouponRequest { coupon_id: "lunch-1".to_owned(), user_id: "ann".to_owned() };
    service.client.return_coupon(asked).await.unwrap();
    // The newer one is in the table before the older one comes: one batch would be folded to the newer one.
    while service.arrived("lunch", 1).await[0].state() != pb::CouponState::Returned {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The claim once more, as an entry of its own that comes after the return: the inbox has not seen it, the row is newer.
    let _: String = redis.xadd(&journal, false, None, "*", claimed).await.unwrap();
    service.claim("lunch", "bob").await.unwrap();
    let states: Vec<_> = service.arrived("lunch", 2).await.iter().map(|coupon| (coupon.rank, coupon.state())).collect();
    assert_eq!(states, [(2, pb::CouponState::Issued), (1, pb::CouponState::Returned)]);
    // Not only because somebody else has the seat now.
    assert_eq!(count(&service, "SELECT version FROM promotion.coupon WHERE rank = 1 AND NOT inferred").await, 2);
    assert_eq!(count(&service, "SELECT count(*) FROM promotion.parked").await, 0);
    redis.quit().await.unwrap();
    service.end().await;
}
