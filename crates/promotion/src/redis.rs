//! Everything that promotion asks of Redis: keys, calls, replies.

mod reply;

use bus::journal::{Keys, Tag};
use fred::types::Value;
use kit::config::Servers;
use kit::redis::{CallError, Library, Redis};

use crate::coupon::Grant;
use crate::deal::{Course, DealId, Terms, UserId, Wish};
use reply::Reply;

/// The functions of this service. The number grows with every change of what a function takes, does or answers.
pub const LIBRARY: Library = Library {
    name: "promotion_1",
    sources: &[bus::redis::FENCE, include_str!("redis/deal.lua"), include_str!("redis/claim.lua")],
};

/// How many entries a journal may hold before claims are refused: with 256 claims each it is far below `maxmemory`.
pub const JOURNAL_LIMIT: u32 = 20_000;

/// The deals in Redis.
#[derive(Clone)]
pub struct Deals {
    redis: Redis,
    keys: Keys,
}

/// What Redis said of a deal.
#[derive(Debug)]
pub enum Answer<T> {
    /// Here it is.
    Found(T),
    /// This Redis node may not serve the deal's tag.
    Frozen,
    /// It has no such deal.
    Missing,
}

/// What became of a batch of claims.
#[derive(Debug)]
pub struct Claimed {
    /// The time by which this is so, in milliseconds.
    pub now_ms: i64,
    /// Counts returns and raises.
    pub round: i64,
    /// Counts every change of the deal.
    pub sequence: i64,
    /// When the deal opens, in milliseconds.
    pub opens_ms: i64,
    /// What every coupon of the deal says, in JSON.
    pub terms: String,
    /// One for each user, in their order.
    pub outcomes: Vec<Outcome>,
}

/// What became of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Taken by this call.
    Won(Grant),
    /// Taken before.
    Held(Grant),
    /// Taken before, and given back.
    Returned,
    /// Nothing is left.
    SoldOut,
    /// It opens later.
    NotOpen,
    /// It is over.
    Closed,
    /// An operator has stopped it, or it was never armed.
    Frozen,
    /// A pass is needed.
    PassRequired,
    /// The call came after its `not_after`: nothing new was taken, and no copy of this call will take anything.
    Late,
    /// The journal is full: nothing happened.
    Full,
}

impl Deals {
    /// Names the keys within the namespace of `servers`.
    #[must_use]
    pub fn new(redis: Redis, servers: &Servers) -> Self {
        Self { redis, keys: Keys::new(servers, crate::SERVICE) }
    }

    /// Puts a deal that is not there yet, unarmed.
    pub async fn put(&self, wish: &Wish, version: i64) -> Result<Answer<()>, CallError> {
        let terms = serde_json::to_string(&wish.terms).unwrap_or_default();
        let args = vec![
            version.to_string(),
            wish.stock.to_string(),
            kit::clock::to_millis(wish.opens_at).to_string(),
            kit::clock::to_millis(wish.closes_at).to_string(),
            u8::from(wish.pass_required).to_string(),
            terms,
        ];
        let reply = self.call("promotion_put_1", &wish.deal_id, &["deal", "held", "seats"], values(args)).await?;
        Ok(reply.answer(|_| Some(()))?)
    }

    /// Arms a deal that was put.
    pub async fn arm(&self, deal_id: &DealId) -> Result<Answer<()>, CallError> {
        let reply = self.call("promotion_arm_1", deal_id, &["deal"], Vec::new()).await?;
        Ok(reply.answer(|_| Some(()))?)
    }

    /// The deal as it stands.
    pub async fn look(&self, deal_id: &DealId) -> Result<Answer<Course>, CallError> {
        let reply = self.call("promotion_look_1", deal_id, &["deal", "seats"], Vec::new()).await?;
        Ok(reply.answer(Reply::course)?)
    }

    /// What one user holds.
    pub async fn find(&self, deal_id: &DealId, user: &UserId) -> Result<Answer<(Terms, Option<Outcome>)>, CallError> {
        let args = vec![Value::from(user.as_str())];
        let reply = self.call("promotion_find_1", deal_id, &["deal", "held"], args).await?;
        Ok(reply.answer(Reply::holding)?)
    }

    /// Claims one coupon for each user, in one step. Past `not_after_ms`, by the time of Redis, nothing new is taken.
    pub async fn claim(
        &self,
        deal_id: &DealId,
        users: &[UserId],
        not_after_ms: i64,
        trace: &str,
    ) -> Result<Answer<Claimed>, CallError> {
        let mut args = Vec::with_capacity(4 + users.len());
        args.push(Value::from(not_after_ms.to_string()));
        args.push(Value::from(JOURNAL_LIMIT.to_string()));
        args.push(Value::from(deal_id.as_str()));
        args.push(Value::from(trace));
        args.extend(users.iter().map(|user| Value::from(user.as_str())));
        let tag = Tag::of(deal_id.as_str());
        let mut keys = self.keys(deal_id, &["deal", "held", "seats"]);
        keys.push(self.keys.journal(tag));
        let value = self.lane(tag).call("promotion_claim_1", keys, args).await?;
        Ok(Reply::new(value).answer(|reply| reply.claimed(users.len()))?)
    }

    async fn call(
        &self,
        function: &'static str,
        deal_id: &DealId,
        rooms: &[&str],
        args: Vec<Value>,
    ) -> Result<Reply, CallError> {
        let tag = Tag::of(deal_id.as_str());
        Ok(Reply::new(self.lane(tag).call(function, self.keys(deal_id, rooms), args).await?))
    }

    /// A tag is always on the same lane, and so is each of its deals.
    fn lane(&self, tag: Tag) -> &kit::redis::Lane {
        self.redis.lane(u64::from(tag.number()))
    }

    fn keys(&self, deal_id: &DealId, rooms: &[&str]) -> Vec<String> {
        let tag = Tag::of(deal_id.as_str());
        let mut keys = Vec::with_capacity(rooms.len() + 2);
        keys.push(self.keys.fence(tag));
        keys.extend(rooms.iter().map(|room| self.keys.key(tag, format_args!("{room}:{deal_id}"))));
        keys
    }
}

fn values(args: Vec<String>) -> Vec<Value> {
    args.into_iter().map(Value::from).collect()
}
