//! Slots move, replicas take over, nodes are emptied: only a node that may serve a tag serves it.

use std::time::{Duration, Instant};

use bus::journal::Tag;
use proto::promotion::v1 as pb;
use tokio::time::sleep;
use tonic::Status;
use trial::servers::Node;

use super::{Field, fence};
use crate::booster::{run_with, told_with};
use crate::crowd::{Client, Crowd, claiming, doors, open_deal, reason};

/// How long a tag stays frozen before an operator looks.
const UNNOTICED: Duration = Duration::from_secs(1);
/// How long a process may take until it knows where a slot is.
const SETTLED: Duration = Duration::from_secs(15);

impl Field {
    /// `booster fence ...`, and what it said.
    async fn fence(&self, args: &[&str]) -> String {
        told_with(self.servers.env(), &[&["fence"], args].concat()).await
    }

    /// The node that has the deal's slot.
    async fn node(&self, deal_id: &'static str) -> Node {
        self.with(move |servers| servers.serving(&fence(deal_id))).await
    }

    /// The other two primaries.
    async fn others(&self, node: &Node) -> [Node; 2] {
        let mut primaries = self.with(|servers| servers.primaries()).await;
        primaries.retain(|primary| primary != node);
        primaries.try_into().unwrap()
    }

    async fn move_slot(&self, deal_id: &'static str, to: &Node) {
        let to = to.clone();
        self.with(move |servers| servers.move_slot(&fence(deal_id), &to)).await;
    }

    async fn empty(&self, node: &Node) {
        let node = node.clone();
        self.with(move |servers| servers.empty(&node)).await;
    }
}

#[tokio::test]
async fn a_slot_moves_where_it_is_allowed_and_is_frozen_where_it_is_not() {
    let field = Field::start("fence-move").await;
    let client = doors(&field.urls()).await.remove(0);
    let tag = Tag::of("moved").to_string();

    let moved = field.crowd("moved").await;
    let [allowed, forbidden] = field.others(&field.node("moved").await).await;
    moved
        .during(async {
            field.fence(&["allow", &tag, &allowed.id]).await;
            field.move_slot("moved", &allowed).await;
            // The tag is served: a release changes who may serve it, and nothing else.
            let said = field.fence(&["release", &tag]).await;
            assert!(said.contains(" epoch 1\n"), "{said}");
        })
        .await;
    assert_eq!(field.node("moved").await, allowed);
    // Whoever was on the way meanwhile was waited for, or asked to come again.
    moved.assert_only(&["OK", "OVERLOADED"]);

    moved
        .during(async {
            field.move_slot("moved", &forbidden).await;
            assert_frozen(&client, "moved").await;
            sleep(UNNOTICED).await;
            let shown = run_with(field.servers.env(), &["fence", "show"]).await;
            assert_eq!(shown.status.code(), Some(1));
            assert!(field.fence(&["release", &tag]).await.contains(&forbidden.id));
        })
        .await;
    moved.assert_only(&["OK", "OVERLOADED", "FROZEN"]);
    // A holder of before is answered the same: that it is the same is a part of the verdict.
    moved.claim("user-0", 1_000, 0).await;
    assert!(moved.told("user-0").last().is_some_and(|(_, already_held)| *already_held));
    assert!(field.fence(&["show"]).await.contains(" 0 of them"));
    field.assert_exact(&[&moved]).await;
}

#[tokio::test]
async fn a_promoted_replica_and_an_emptied_node_serve_nothing_until_they_are_released() {
    let field = Field::start("fence-failover").await;
    let mut client = doors(&field.urls()).await.remove(0);
    let tag = Tag::of("promoted").to_string();

    let promoted = field.crowd("promoted").await;
    promoted
        .during(async {
            sleep(Duration::from_millis(300)).await;
            let primary = field.node("promoted").await;
            let replica = field.with(move |servers| servers.fail_over(&primary)).await;
            assert_frozen(&client, "promoted").await;
            sleep(UNNOTICED).await;
            let said = field.fence(&["release", &tag]).await;
            assert!(said.contains(&format!("{} may serve it, and no other; epoch 1\n", replica.id)), "{said}");
        })
        .await;
    promoted.assert_only(&["OK", "OVERLOADED", "FROZEN", "BACKEND_UNAVAILABLE"]);
    // Nothing was lost, so the ranks go on: the crowd's verdict knows no gap.
    field.assert_exact(&[&promoted]).await;

    field.empty(&field.node("promoted").await).await;
    assert_frozen(&client, "promoted").await;
    let said = field.fence(&["release", &tag]).await;
    assert!(said.contains("no other; epoch 2\n") && said.contains("has begun a new epoch"), "{said}");
    // What Redis knew of the old deal is gone: it is never made anew.
    assert_frozen(&client, "promoted").await;
    sleep(UNNOTICED).await;
    assert_frozen(&client, "promoted").await;

    // A new deal of the same tag works, and its events are not taken for those of the old epoch.
    let name = (0..).map(|number| format!("after-{number}")).find(|name| Tag::of(name) == Tag::of("promoted")).unwrap();
    let deal = open_deal(&mut client, &name, 10).await;
    assert_eq!((deal.epoch, deal.state()), (2, pb::DealState::Open));
    let after = Crowd::for_deal(&field.urls(), &name, 10).await;
    after.during(sleep(Duration::from_millis(500))).await;
    after.assert_only(&["OK", "SOLD_OUT"]);
    assert_eq!(after.assert_exact(&field.servers.postgres_url()).await, 10);
    let audit = told_with(field.servers.env(), &["audit", "--deal", &name]).await;
    assert!(audit.ends_with(" 10 coupons, 0 violations\n"), "{audit}");
}

/// A holder and somebody new are turned away, and so is whoever looks.
async fn assert_frozen(client: &Client, deal_id: &str) {
    for user in ["user-0", "nobody"] {
        let claimed = refusal(async || client.clone().claim_coupon(claiming(deal_id, user)).await);
        assert_eq!(claimed.await, "FROZEN");
        let asked = pb::GetClaimRequest { deal_id: deal_id.to_owned(), user_id: user.to_owned() };
        assert_eq!(refusal(async || client.clone().get_claim(asked.clone()).await).await, "FROZEN");
    }
    let asked = pb::ReturnCouponRequest { coupon_id: format!("{deal_id}-1"), user_id: "user-0".to_owned() };
    assert_eq!(refusal(async || client.clone().return_coupon(asked.clone()).await).await, "FROZEN");
    let asked = pb::GetDealRequest { deal_id: deal_id.to_owned() };
    let deal = client.clone().get_deal(asked).await.unwrap().into_inner();
    assert_eq!(deal.state(), pb::DealState::Frozen);
}

/// Why it is refused. A process that has just found another primary looks at its settings first, and turns callers away
/// meanwhile.
async fn refusal<T: std::fmt::Debug>(ask: impl AsyncFn() -> Result<T, Status>) -> String {
    let since = Instant::now();
    loop {
        let reason = reason(&ask().await.expect_err("it is refused"));
        let is_passing = ["OVERLOADED", "BACKEND_UNAVAILABLE"].contains(&reason.as_str());
        if !is_passing || since.elapsed() > SETTLED {
            return reason;
        }
        sleep(Duration::from_millis(100)).await;
    }
}
