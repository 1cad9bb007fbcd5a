//! The fence: a node that may not have what another has said yes to serves nothing, until an operator has looked.

use bus::fence::{self, Released, State};
use bus::journal::{Keys, Tag};
use fred::interfaces::{HashesInterface as _, KeysInterface as _, StreamsInterface as _};
use kit::postgres::Pool;
use kit::redis::Redis;
use proto::promotion::v1 as pb;

use crate::road::connect;
use crate::service::{Service, reason};

/// An operator beside a running service, and one deal with one coupon.
struct Scene {
    service: Service,
    operator: Redis,
    pool: Pool,
    keys: Keys,
    /// For what no function would do.
    raw: fred::clients::Client,
    tag: Tag,
}

impl Scene {
    async fn set(name: &str) -> Self {
        let mut service = Service::start(name).await;
        service.deal("lunch", 5).await;
        service.claim("lunch", "ann").await.unwrap();
        service.arrived("lunch", 1).await;
        let servers = service.ground.servers();
        let operator = Redis::connect(&servers, 1, &[bus::redis::LIBRARY]).await.unwrap();
        let pool = kit::postgres::connect(&servers, promotion::SERVICE).await.unwrap();
        let (keys, raw) = (Keys::new(&servers, promotion::SERVICE), connect(&servers).await);
        Self { service, operator, pool, keys, raw, tag: Tag::of("lunch") }
    }

    async fn fence(&self) -> fence::Fence {
        let fences = fence::show(&self.operator, &self.pool, &self.keys).await.unwrap();
        fences.into_iter().find(|fence| fence.tag == self.tag).unwrap()
    }

    async fn release(&self) -> Released {
        fence::release(&self.operator, &self.pool, &self.keys, self.tag).await.unwrap()
    }

    async fn deal(&mut self, deal_id: &str) -> pb::Deal {
        let asked = pb::GetDealRequest { deal_id: deal_id.to_owned() };
        self.service.client.get_deal(asked).await.unwrap().into_inner()
    }

    /// Everything that asks Redis says that the deal is frozen, holders included.
    async fn assert_frozen(&mut self) {
        for user in ["ann", "bob"] {
            assert_eq!(reason(self.service.claim("lunch", user).await), "FROZEN");
            let asked = pb::GetClaimRequest { deal_id: "lunch".to_owned(), user_id: user.to_owned() };
            assert_eq!(reason(self.service.client.get_claim(asked).await), "FROZEN");
        }
        let asked = pb::ReturnCouponRequest { coupon_id: "lunch-1".to_owned(), user_id: "ann".to_owned() };
        assert_eq!(reason(self.service.client.return_coupon(asked).await), "FROZEN");
        assert_eq!(self.deal("lunch").await.state(), pb::DealState::Frozen);
    }

    async fn end(self) {
        self.operator.close().await;
        self.service.end().await;
    }
}

/// Another deal of the same tag.
fn neighbour(tag: Tag) -> String {
    let mut names = (0..).map(|number| format!("deal-{number}"));
    names.find(|name| Tag::of(name) == tag).unwrap()
}

#[tokio::test]
async fn a_node_that_is_not_allowed_serves_nothing_until_the_tag_is_released() {
    let mut scene = Scene::set("fence-node").await;
    let node_id = scene.fence().await.node_id.unwrap();
    let fence = scene.keys.fence(scene.tag);
    // As after a failover by hand: the data is here, and the node is not the one that is named.
    let _: i64 = scene.raw.hdel(&fence, format!("node:{node_id}")).await.unwrap();
    let _: i64 = scene.raw.hset(&fence, ("node:another", "1")).await.unwrap();
    assert_eq!(scene.fence().await.state, State::NotAllowed(vec!["another".to_owned()]));
    scene.assert_frozen().await;
    let allowed = fence::allow(&scene.operator, &scene.pool, &scene.keys, scene.tag, &node_id).await;
    assert!(allowed.unwrap_err().to_string().contains("booster fence release"));

    assert_eq!(scene.release().await, Released { node_id: node_id.clone(), epoch: 1, raised: false });
    assert_eq!(scene.fence().await.state, State::Open);
    // The other one may no longer serve it.
    assert_eq!(scene.raw.hexists::<i64, _, _>(&fence, "node:another").await.unwrap(), 0);
    assert!(scene.service.claim("lunch", "ann").await.unwrap().already_held);
    assert_eq!(scene.service.claim("lunch", "bob").await.unwrap().coupon.unwrap().rank, 2);
    scene.service.arrived("lunch", 2).await;
    assert_eq!(scene.deal("lunch").await.epoch, 1);
    // A release of what is open changes nothing.
    assert_eq!(scene.release().await, Released { node_id, epoch: 1, raised: false });
    scene.end().await;
}

#[tokio::test]
async fn a_node_is_allowed_before_a_slot_is_moved_to_it() {
    let scene = Scene::set("fence-allow").await;
    let nodes = scene.operator.nodes().await.unwrap();
    let here = scene.fence().await.node_id.unwrap();
    let target = nodes.iter().find(|node| node.is_primary && node.id != here).unwrap();
    let unknown = fence::allow(&scene.operator, &scene.pool, &scene.keys, scene.tag, &"0".repeat(40)).await;
    assert!(unknown.unwrap_err().to_string().contains("CLUSTER NODES"));
    for _ in 0..2 {
        fence::allow(&scene.operator, &scene.pool, &scene.keys, scene.tag, &target.id).await.unwrap();
    }
    let field = format!("node:{}", target.id);
    assert_eq!(scene.raw.hexists::<i64, _, _>(scene.keys.fence(scene.tag), &field).await.unwrap(), 1);
    assert_eq!(scene.fence().await.state, State::Open);
    scene.end().await;
}

#[tokio::test]
async fn a_tag_that_lost_its_data_begins_a_new_epoch_and_its_old_deals_stay_frozen() {
    let mut scene = Scene::set("fence-emptied").await;
    let rooms = ["deal", "held", "seats"].map(|room| scene.keys.key(scene.tag, format_args!("{room}:lunch")));
    let mut gone = vec![scene.keys.fence(scene.tag), scene.keys.journal(scene.tag)];
    gone.extend(rooms);
    let _: i64 = scene.raw.del(gone).await.unwrap();
    assert_eq!(scene.fence().await.state, State::Empty);
    scene.assert_frozen().await;
    // Preparing the servers again must not stamp what was once stamped.
    bus::stamp::stamp(&scene.operator, &scene.pool, &scene.keys).await.unwrap();
    assert_eq!(scene.fence().await.state, State::Empty);

    let released = scene.release().await;
    assert_eq!((released.epoch, released.raised), (2, true));
    assert_eq!(scene.fence().await.state, State::Open);
    scene.assert_frozen().await;

    let new = neighbour(scene.tag);
    scene.service.deal(&new, 2).await;
    assert_eq!(scene.service.claim(&new, "ann").await.unwrap().coupon.unwrap().rank, 1);
    assert_eq!(scene.service.arrived(&new, 1).await.len(), 1);
    assert_eq!(scene.deal(&new).await.epoch, 2);
    let only = Some(promotion::deal::DealId::parse(&new).unwrap());
    let report = promotion::audit::run(&scene.service.ground.servers(), only).await.unwrap();
    assert_eq!(report.violations, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test]
async fn a_journal_that_went_back_in_time_is_not_believed() {
    let mut scene = Scene::set("fence-behind").await;
    let journal = scene.keys.journal(scene.tag);
    // As if the node had come back with an older disk: the entry that PostgreSQL has seen is not there.
    let _: i64 = scene.raw.del(&journal).await.unwrap();
    let _: String = scene.raw.xadd(&journal, false, None, "1-1", vec![("kind", "stamped")]).await.unwrap();
    assert_eq!(scene.fence().await.state, State::Behind);
    // Whoever relays sees it, and closes the fence: the ranks must not be given out a second time.
    let since = std::time::Instant::now();
    while scene.service.claim("lunch", "ann").await.is_ok() {
        assert!(since.elapsed() < std::time::Duration::from_secs(10), "nobody has seen it");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    scene.assert_frozen().await;
    assert_eq!(scene.fence().await.state, State::Behind);
    let released = scene.release().await;
    assert_eq!((released.epoch, released.raised), (2, true));
    // What is left of the deal may have been given out twice: it stays frozen, although the node has it.
    scene.assert_frozen().await;
    let new = neighbour(scene.tag);
    scene.service.deal(&new, 2).await;
    scene.service.claim(&new, "ann").await.unwrap();
    scene.service.arrived(&new, 1).await;
    scene.end().await;
}

#[tokio::test]
async fn a_journal_that_postgres_does_not_know_is_not_served_under_its_old_epoch() {
    let mut scene = Scene::set("fence-other").await;
    let _: i64 = scene.raw.hset(scene.keys.fence(scene.tag), ("journal", "another")).await.unwrap();
    assert_eq!(scene.fence().await.state, State::OtherJournal);
    assert_eq!(scene.release().await.epoch, 2);
    assert_eq!(scene.fence().await.state, State::Open);
    scene.assert_frozen().await;
    scene.end().await;
}
