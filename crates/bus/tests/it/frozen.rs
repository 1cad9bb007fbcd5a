//! A tag whose fence does not name its node is not relayed; all others are, and it goes on where it stood.

use std::collections::HashMap;
use std::time::Duration;

use fred::interfaces::HashesInterface as _;

use crate::counting;
use crate::place::{Place, tag};
use crate::running::Running;

#[tokio::test]
async fn a_frozen_tag_waits_and_holds_nobody_up() {
    let place = Place::new("frozen").await;
    let whole = Running::whole(&place, "count").await;
    let (frozen, other) = (tag(20), tag(21));
    place.write_many(frozen, "frozen", 1, 3).await;
    place.until_effects("count", 3).await;
    let fence: HashMap<String, String> = place.redis.hgetall(place.keys.fence(frozen)).await.unwrap();
    let node = fence.keys().find(|name| name.starts_with("node:")).unwrap().clone();
    let _: i64 = place.redis.hdel(place.keys.fence(frozen), node.clone()).await.unwrap();
    place.write_many(frozen, "frozen", 4, 3).await;
    place.write_many(other, "other", 1, 3).await;
    place.until_effects("count", 6).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let subjects: Vec<_> = place.effects("count").await.into_iter().map(|effect| effect.subject).collect();
    assert_eq!(subjects, ["frozen", "frozen", "frozen", "other", "other", "other"]);

    let _: i64 = place.redis.hset(place.keys.fence(frozen), (node, "1")).await.unwrap();
    place.write(frozen, counting::entry("frozen", 7)).await;
    place.until_effects("count", 10).await;
    place.assert_once("count", 10).await;
    whole.stop().await;
    place.end().await;
}
