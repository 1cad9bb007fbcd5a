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

/// A running service, one deal, and a hand in its journal.
struct Road {
    service: Service,
    redis: fred::clients::Client,
    journal: String,
}

impl Road {
    /// A deal of fifty, of which the first users have claimed some coupons.
    async fn begin(name: &str, claims: usize) -> Self {
        let mut service = Service::start(name).await;
        service.deal("lunch", 50).await;
        for user in 0..claims {
            service.claim("lunch", &format!("u{user}")).await.unwrap();
        }
        let journal = Keys::new(&service.ground.servers(), promotion::SERVICE).journal(Tag::of("lunch"));
        let redis = connect(&service.ground.servers()).await;
        Self { service, redis, journal }
    }

    async fn last_entry(&self) -> HashMap<String, String> {
        let last: Vec<(String, HashMap<String, String>)> =
            self.redis.xrevrange_values(&self.journal, "+", "-", Some(1)).await.unwrap();
        last[0].1.clone()
    }

    /// Writes an entry of its own: another id, so that the inbox lets it pass to the table.
    async fn append(&self, entry: HashMap<String, String>) {
        let fields: Vec<(String, String)> = entry.into_iter().collect();
        let _: String = self.redis.xadd(&self.journal, false, None, "*", fields).await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        let mut admin = sqlx::PgConnection::connect(self.service.ground.admin_url().expose()).await.unwrap();
        sqlx::query_scalar(statement).fetch_one(&mut admin).await.unwrap()
    }

    async fn end(self) {
        self.redis.quit().await.unwrap();
        self.service.end().await;
    }
}

const PARKED: &str = "SELECT count(*) FROM promotion.parked";

#[tokio::test]
async fn a_damaged_entry_is_parked_and_the_journal_goes_on() {
    let mut road = Road::begin("road-damaged", 1).await;
    let whole = road.last_entry().await;
    for (name, value) in [("rank", "x"), ("at", "-9000000000000000"), ("terms", "{}")] {
        let mut damaged = whole.clone();
        damaged.insert(name.to_owned(), value.to_owned());
        road.append(damaged).await;
    }
    road.service.claim("lunch", "bob").await.unwrap();
    let listed = road.service.arrived("lunch", 2).await;
    assert_eq!(listed.iter().map(|coupon| coupon.user_id.as_str()).collect::<Vec<_>>(), ["bob", "u0"]);
    assert_eq!(road.count("SELECT count(*) FROM promotion.parked WHERE consumer = 'promotion.relay'").await, 3);
    road.end().await;
}

#[tokio::test]
async fn what_has_taken_effect_leaves_the_journal() {
    let mut road = Road::begin("road-trim", 10).await;
    road.service.arrived("lunch", 10).await;
    for _ in 0..100 {
        let length: i64 = road.redis.xlen(&road.journal).await.unwrap();
        // The entry at the progress itself stays: only what is strictly below is dropped.
        if length == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(road.redis.xlen::<i64, _>(&road.journal).await.unwrap(), 1);
    assert_eq!(road.count("SELECT count(*) FROM promotion.coupon").await, 10);
    road.end().await;
}

#[tokio::test]
async fn what_is_relayed_twice_takes_effect_once() {
    let mut road = Road::begin("road-twice", 10).await;
    road.service.arrived("lunch", 10).await;
    road.append(road.last_entry().await).await;
    road.service.claim("lunch", "u10").await.unwrap();
    assert_eq!(road.service.arrived("lunch", 11).await.len(), 11);
    assert_eq!(road.count(PARKED).await, 0);
    assert_eq!(road.count("SELECT max(version) FROM promotion.coupon").await, 1);
    road.end().await;
}

#[tokio::test]
async fn an_older_event_after_a_newer_one_changes_nothing() {
    let mut road = Road::begin("road-late", 1).await;
    let claimed = road.last_entry().await;
    let asked = pb::ReturnCouponRequest { coupon_id: "lunch-1".to_owned(), user_id: "u0".to_owned() };
    road.service.client.return_coupon(asked).await.unwrap();
    // The newer one is in the table before the older one comes: one batch would be folded to the newer one.
    while road.service.arrived("lunch", 1).await[0].state() != pb::CouponState::Returned {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The claim once more, as an entry that comes after the return: the row is newer.
    road.append(claimed).await;
    road.service.claim("lunch", "bob").await.unwrap();
    let listed = road.service.arrived("lunch", 2).await;
    let states: Vec<_> = listed.iter().map(|coupon| (coupon.rank, coupon.state())).collect();
    assert_eq!(states, [(2, pb::CouponState::Issued), (1, pb::CouponState::Returned)]);
    // Not only because somebody else has the seat now.
    assert_eq!(road.count("SELECT version FROM promotion.coupon WHERE rank = 1 AND NOT inferred").await, 2);
    assert_eq!(road.count(PARKED).await, 0);
    road.end().await;
}

#[tokio::test]
async fn a_rank_that_somebody_else_has_is_not_given_to_another() {
    let mut road = Road::begin("road-rank", 1).await;
    road.service.arrived("lunch", 1).await;
    let mut stolen = road.last_entry().await;
    stolen.insert("users".to_owned(), "eve".to_owned());
    road.append(stolen).await;
    road.service.claim("lunch", "bob").await.unwrap();
    let listed = road.service.arrived("lunch", 2).await;
    assert_eq!(listed.iter().map(|coupon| coupon.user_id.as_str()).collect::<Vec<_>>(), ["bob", "u0"]);
    assert_eq!(road.count("SELECT count(*) FROM promotion.parked WHERE consumer = 'promotion'").await, 1);
    road.end().await;
}

#[tokio::test]
async fn a_seat_that_is_taken_again_retires_who_sat_there_before_his_return_arrives() {
    let mut road = Road::begin("road-seat", 2).await;
    road.service.arrived("lunch", 2).await;
    // The next rank on the first seat, as after a return whose own event is still on its way.
    let mut next = road.last_entry().await;
    for (name, value) in [("rank", "3"), ("seats", "1"), ("users", "bob")] {
        next.insert(name.to_owned(), value.to_owned());
    }
    road.append(next).await;
    let listed = road.service.arrived("lunch", 3).await;
    let states: Vec<_> = listed.iter().map(|coupon| (coupon.rank, coupon.state())).collect();
    use pb::CouponState::{Issued, Returned};
    assert_eq!(states, [(3, Issued), (2, Issued), (1, Returned)]);
    assert_eq!(road.count("SELECT rank FROM promotion.coupon WHERE inferred").await, 1);
    assert_eq!(road.count(PARKED).await, 0);
    road.end().await;
}
