//! Deals at the level of their store: the functions in Redis, without a service around them.

use bus::journal::{Keys, Tag};
use fred::interfaces::HashesInterface as _;
use kit::redis::Redis;
use promotion::deal::{DealId, Discount, Off, Prize, Terms, Wish};
use promotion::redis::{Answer, Deals};
use trial::ground::Ground;

use crate::road::connect;
use crate::service::prepare;

/// A store, and a connection for what no function would do.
pub struct Shelf {
    pub ground: Ground,
    pub deals: Deals,
    pub redis: fred::clients::Client,
    keys: Keys,
}

impl Shelf {
    pub async fn new(name: &str) -> Self {
        let ground = Ground::new(name).await;
        let servers = ground.servers();
        prepare(&servers).await;
        let deals = Deals::new(Redis::connect(&servers, 1, promotion::LIBRARIES).await.unwrap(), &servers);
        Self { deals, redis: connect(&servers).await, keys: Keys::new(&servers, promotion::SERVICE), ground }
    }

    /// Puts a deal there, armed.
    pub async fn put(&self, wish: &Wish) {
        found(self.deals.put(wish).await.unwrap());
        found(self.deals.arm(&wish.deal_id).await.unwrap());
    }

    /// The journal that tells of this deal.
    pub fn journal(&self, deal_id: &DealId) -> String {
        self.keys.journal(Tag::of(deal_id.as_str()))
    }

    /// The latest time that is remembered for this deal, in milliseconds.
    pub async fn remembered_ms(&self, deal_id: &DealId) -> i64 {
        self.redis.hget(self.keys.fence(Tag::of(deal_id.as_str())), "now").await.unwrap()
    }

    /// As if this had been the latest time that was given out for this deal.
    pub async fn remember_ms(&self, deal_id: &DealId, now_ms: i64) {
        let fence = self.keys.fence(Tag::of(deal_id.as_str()));
        let _: i64 = self.redis.hset(fence, ("now", now_ms.to_string())).await.unwrap();
    }
}

/// A deal under a random name, open for an hour.
pub fn wish(stock: i64) -> Wish {
    let discount = Discount { off: Off::Percent(10), max_amount: None, min_order: None, valid_for_seconds: None };
    Wish {
        deal_id: DealId::random(),
        title: String::new(),
        terms: Terms { venue_id: "venue".to_owned(), prize: Prize::Discount(discount) },
        stock,
        opens_at: kit::clock::now() - time::Duration::MINUTE,
        closes_at: kit::clock::now() + time::Duration::HOUR,
        pass_required: false,
    }
}

pub fn found<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Found(found) => found,
        Answer::Frozen | Answer::Missing | Answer::Archived => panic!("{answer:?}"),
    }
}
