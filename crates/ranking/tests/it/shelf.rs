//! Boards at the level of their store: the functions in Redis, without a service around them.

use kit::redis::Redis;
use ranking::board::{ItemId, Score};
use ranking::redis::Boards;
use trial::ground::Ground;

use crate::scene::connect;

/// A store, and a connection for what no function would do.
pub struct Shelf {
    pub ground: Ground,
    pub boards: Boards,
    pub redis: fred::clients::Client,
}

impl Shelf {
    pub async fn new(name: &str) -> Self {
        let ground = Ground::new(name).await;
        let servers = ground.servers();
        let boards = Boards::new(Redis::connect(&servers, 1, ranking::LIBRARIES).await.unwrap(), &servers);
        Self { boards, redis: connect(&servers).await, ground }
    }
}

/// Items with their scores and versions.
pub fn scores(scores: &[(&str, i64, i64)]) -> Vec<Score> {
    let score = |(item, score, version): &(&str, i64, i64)| Score {
        item_id: ItemId::parse(item).unwrap(),
        score: *score,
        version: *version,
    };
    scores.iter().map(score).collect()
}
