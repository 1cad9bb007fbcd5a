//! A deal whose coupons are all over leaves Redis, and everything is answered as before.

use std::time::Duration;

use bus::journal::{Keys, Tag};
use fred::interfaces::HashesInterface as _;
use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use tokio::time::Instant;

use crate::road::connect;
use crate::service::{Service, deal, later, reason, valid_for};

/// How long it may take until a deal that is over has left Redis.
const LEAVES: Duration = Duration::from_secs(40);

impl Service {
    /// A deal that closes in some seconds, and whose coupons are valid for one.
    async fn short(&mut self, deal_id: &str, seconds: u64) {
        let short = pb::Deal { closes_at: Some(later(seconds)), ..deal(deal_id, 5) };
        self.create(valid_for(short, 1)).await.unwrap();
    }

    /// Waits until nothing but a stub of the deal is in Redis.
    pub async fn archived(&self, deal_id: &str) {
        let deadline = Instant::now() + LEAVES;
        let servers = self.ground.servers();
        let (redis, tag) = (connect(&servers).await, Tag::of(deal_id));
        let keys = Keys::new(&servers, promotion::SERVICE);
        let room = |name: &str| keys.key(tag, format_args!("{name}:{deal_id}"));
        while !redis.hexists::<bool, _, _>(room("deal"), "archived").await.unwrap() {
            assert!(Instant::now() < deadline, "{deal_id} is still in Redis");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for name in ["deal", "held", "seats", "used"] {
            assert_eq!(redis.hlen::<i64, _>(room(name)).await.unwrap(), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_over_leaves_redis_and_is_answered_as_before() {
    let mut service = Service::start("archive").await;
    service.short("lunch", 3).await;
    for user in ["ann", "bob", "cid"] {
        service.claim("lunch", user).await.unwrap();
    }
    let held = service.claim("lunch", "ann").await.unwrap();
    service.give_back("lunch-2", "bob").await.unwrap();
    let redeemed = service.redeem("lunch-3", "cid", "o1").await.unwrap();
    service.archived("lunch").await;

    assert_eq!(service.claim("lunch", "ann").await.unwrap(), held);
    assert_eq!(reason(service.claim("lunch", "bob").await), "COUPON_RETURNED");
    assert_eq!(reason(service.claim("lunch", "dan").await), "CLOSED");
    let shown = service.get("lunch").await.unwrap();
    assert_eq!((shown.state(), shown.remaining, shown.round, shown.epoch), (pb::DealState::Closed, 3, 2, 1));

    let states = [("lunch-1", pb::CouponState::Expired), ("lunch-2", pb::CouponState::Returned)];
    for (coupon_id, state) in states {
        assert_eq!(service.coupon(coupon_id).await.unwrap().state(), state);
    }
    assert_eq!(service.coupon("lunch-3").await.unwrap(), redeemed);
    assert_eq!(reason(service.coupon("lunch-4").await), "COUPON_NOT_FOUND");
    assert_eq!(service.get_claim("lunch", "cid").await.unwrap(), redeemed);
    assert_eq!(reason(service.get_claim("lunch", "dan").await), "COUPON_NOT_FOUND");

    assert_eq!(reason(service.redeem("lunch-1", "ann", "o2").await), "COUPON_EXPIRED");
    assert_eq!(reason(service.redeem("lunch-1", "cid", "o2").await), "NOT_OWNER");
    assert_eq!(reason(service.redeem("lunch-2", "bob", "o2").await), "COUPON_RETURNED");
    assert_eq!(reason(service.redeem("lunch-3", "cid", "o2").await), "COUPON_REDEEMED");
    assert_eq!(service.redeem("lunch-3", "cid", "o1").await.unwrap(), redeemed);
    assert_eq!(service.restore("lunch-3", "o1").await.unwrap(), redeemed, "an undo succeeds and changes nothing");
    assert_eq!(reason(service.give_back("lunch-1", "ann").await), "COUPON_EXPIRED");
    assert_eq!(service.give_back("lunch-2", "bob").await.unwrap().state(), pb::CouponState::Returned);
    let more = pb::Deal { stock: 9, ..shown.clone() };
    assert_eq!(reason(service.change(more, &["stock"]).await), "DEAL_OVER");
    assert_eq!(service.close_deal("lunch").await.unwrap(), shown);
    assert_eq!(service.client.list_deals(pb::ListDealsRequest::default()).await.unwrap().into_inner().deals, [shown]);

    service.assert_clean(3).await;
    service.end().await;
}

#[tokio::test]
async fn what_is_not_over_stays() {
    let mut service = Service::start("archive-not").await;
    // Nobody holds anything of it: over as soon as it is closed.
    service.deal("empty", 5).await;
    // Valid for ever, and not given back.
    service.deal("kept", 5).await;
    service.claim("kept", "ann").await.unwrap();
    service.deal("given", 5).await;
    service.claim("given", "ann").await.unwrap();
    service.give_back("given-1", "ann").await.unwrap();
    for deal_id in ["empty", "kept", "given"] {
        service.close_deal(deal_id).await.unwrap();
    }
    service.archived("empty").await;
    service.archived("given").await;
    assert_eq!(service.redeem("kept-1", "ann", "o1").await.unwrap().state(), pb::CouponState::Redeemed);
    assert_eq!(service.give_back("given-1", "ann").await.unwrap().state(), pb::CouponState::Returned);
    assert_eq!(reason(service.claim("empty", "ann").await), "CLOSED");
    service.assert_clean(2).await;
    service.end().await;
}

#[tokio::test]
async fn what_has_not_arrived_stays() {
    let mut service = Service::start("archive-parked").await;
    service.deal("lunch", 5).await;
    service.claim("lunch", "ann").await.unwrap();
    service.give_back("lunch-1", "ann").await.unwrap();
    let arrived = service.arrived("lunch", 1).await;
    assert_eq!(arrived[0].state(), pb::CouponState::Returned);
    let mut admin = sqlx::PgConnection::connect(service.ground.admin_url().expose()).await.unwrap();
    let park = "INSERT INTO promotion.parked
                  (consumer, parking_key, topic, partition, \"offset\", headers, payload, cause, attempts)
                VALUES ('promotion', 'lunch-1', 't', 0, 0, '{}', '', 'poison', 3)";
    sqlx::raw_sql(park).execute(&mut admin).await.unwrap();
    service.close_deal("lunch").await.unwrap();
    // Another deal that is over shows that it was looked at.
    service.deal("other", 5).await;
    service.close_deal("other").await.unwrap();
    service.archived("other").await;
    let course = "SELECT course IS NULL FROM promotion.deal WHERE deal_id = 'lunch'";
    assert!(sqlx::query_scalar::<_, bool>(course).fetch_one(&mut admin).await.unwrap(), "it is about to leave Redis");
    sqlx::raw_sql("DELETE FROM promotion.parked").execute(&mut admin).await.unwrap();
    service.archived("lunch").await;
    service.end().await;
}

/// A coupon that was on its way when the deal was seen as over arrives before the deal is looked at.
#[tokio::test]
async fn what_arrives_late_and_is_not_over_stays() {
    let mut service = Service::start("archive-late").await;
    let mut admin = sqlx::PgConnection::connect(service.ground.admin_url().expose()).await.unwrap();
    let mut reads = sqlx::PgConnection::connect(service.ground.admin_url().expose()).await.unwrap();
    // "first" is looked at before "lunch", and is over later.
    for (deal_id, seconds) in [("first", 4), ("lunch", 3)] {
        let short = pb::Deal { closes_at: Some(later(seconds)), ..deal(deal_id, 5) };
        service.create(short).await.unwrap();
    }
    // Nothing arrives, and the archive waits at the first deal, with a page of both in hand.
    let mut first = admin.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM promotion.deal WHERE deal_id = 'first' FOR UPDATE").execute(&mut *first).await.unwrap();
    let mut other = sqlx::PgConnection::connect(service.ground.admin_url().expose()).await.unwrap();
    let mut coupons = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE promotion.coupon IN EXCLUSIVE MODE").execute(&mut *coupons).await.unwrap();
    service.claim("lunch", "ann").await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query LIKE 'UPDATE promotion.deal SET course%'";
    let deadline = Instant::now() + LEAVES;
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut reads).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "the archive does not come to the first deal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    coupons.rollback().await.unwrap();
    service.arrived("lunch", 1).await;
    first.rollback().await.unwrap();
    service.archived("first").await;
    // A page later both have been looked at once more.
    service.deal("other", 5).await;
    service.close_deal("other").await.unwrap();
    service.archived("other").await;
    assert_eq!(service.redeem("lunch-1", "ann", "o1").await.unwrap().state(), pb::CouponState::Redeemed);
    service.end().await;
}
