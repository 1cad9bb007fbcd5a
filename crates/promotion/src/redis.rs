//! Everything that promotion asks of Redis: keys, calls, replies.

mod answer;
mod reply;

use std::collections::HashMap;

use bus::journal::{EntryId, Keys, Tag};
use fred::types::Value;
use kit::config::Servers;
use kit::redis::{CallError, Library, Redis};

use crate::deal::{Course, DealId, OrderId, Patch, Terms, Updated, UserId, Wish};
pub use answer::{Answer, Archival, Claimed, Held, Holding, Kept, Outcome, Rounds, Sold, Unfit};
use reply::Reply;

/// The functions of this service. The number grows with every change of what a function takes, does or answers.
pub const LIBRARY: Library = Library {
    name: "promotion_3",
    sources: &[
        bus::redis::FENCE,
        include_str!("redis/deal.lua"),
        include_str!("redis/held.lua"),
        include_str!("redis/claim.lua"),
        include_str!("redis/coupon.lua"),
        include_str!("redis/winners.lua"),
    ],
};

/// How many bytes a journal may take in Redis before claims are refused. An entry takes 220 bytes with one claim, and 6,250
/// with 256 (users of 12 characters, measured by MEMORY USAGE on Redis 7.0): room for 76,000 claims that came one by one, or
/// for 690,000 in full batches. The 64 journals together have to stay below the `maxmemory` of all primaries.
pub const JOURNAL_LIMIT: u32 = 16 * 1024 * 1024;

/// The most holders that are read at once: Redis does nothing else meanwhile.
const WINNERS_MOST: u32 = 50_000;

/// About how many holders are read in one call by an audit.
const HOLDERS_PAGE: u32 = 1_000;
/// The version of the order that a deal is put with; newer ones are decided on afterwards.
const FIRST_VERSION: i64 = 1;

/// The deals in Redis.
#[derive(Clone)]
pub struct Deals {
    redis: Redis,
    keys: Keys,
}

impl Deals {
    /// Names the keys within the namespace of `servers`.
    #[must_use]
    pub fn new(redis: Redis, servers: &Servers) -> Self {
        Self { redis, keys: Keys::new(servers, crate::SERVICE) }
    }

    /// On which channel the functions say which deals of a tag have changed.
    #[must_use]
    pub fn changes(&self, tag: Tag) -> String {
        self.keys.key(tag, "changes")
    }

    /// Puts a deal that is not there yet, unarmed.
    pub async fn put(&self, wish: &Wish) -> Result<Answer<()>, CallError> {
        let terms = serde_json::to_string(&wish.terms).unwrap_or_default();
        let args = vec![
            FIRST_VERSION.to_string(),
            wish.stock.to_string(),
            kit::clock::to_millis(wish.opens_at).to_string(),
            kit::clock::to_millis(wish.closes_at).to_string(),
            u8::from(wish.pass_required).to_string(),
            terms,
        ];
        let reply =
            self.call("promotion_put_3", &wish.deal_id, &["deal", "held", "seats", "used"], values(args)).await?;
        reply.answer(|_| Some(()))
    }

    /// Arms a deal that was put.
    pub async fn arm(&self, deal_id: &DealId) -> Result<Answer<()>, CallError> {
        let reply = self.call("promotion_arm_3", deal_id, &["deal"], Vec::new()).await?;
        reply.answer(|_| Some(()))
    }

    /// The deal as it stands.
    pub async fn look(&self, deal_id: &DealId) -> Result<Answer<Course>, CallError> {
        let reply = self.call("promotion_look_3", deal_id, &["deal", "seats"], Vec::new()).await?;
        reply.answer(Reply::course)
    }

    /// Decides on an order: all of it or nothing. The same one again is answered as it was.
    pub async fn update(
        &self,
        deal_id: &DealId,
        version: i64,
        patch: &Patch,
        terms: Option<&Terms>,
    ) -> Result<Answer<Updated>, CallError> {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let args = [
            Some(version.to_string()),
            number(patch.stock),
            number(patch.opens_ms),
            number(patch.closes_ms),
            patch.pass_required.map(|required| u8::from(required).to_string()),
            terms.map(|terms| serde_json::to_string(terms).unwrap_or_default()),
            Some(u8::from(patch.close).to_string()),
        ];
        let args = values(args.map(Option::unwrap_or_default).to_vec());
        let reply = self.call("promotion_update_3", deal_id, &["deal"], args).await?;
        reply.answer(Reply::updated)
    }

    /// Lets a deal go that is over with all its coupons, unless its last entry in the journal is another one.
    pub async fn archive(&self, deal_id: &DealId, entry: EntryId) -> Result<Answer<Archival>, CallError> {
        let args = values(vec![entry.to_string()]);
        let reply = self.call("promotion_archive_3", deal_id, &["deal", "held", "seats", "used"], args).await?;
        let answer = reply.or_no(reply::nothing, |_| Some(()))?;
        Ok(answer.map(|done| if done.is_ok() { Archival::Done } else { Archival::NotNow }))
    }

    /// What one user holds.
    pub async fn find(&self, deal_id: &DealId, user: &UserId) -> Result<Answer<Result<Holding, Unfit>>, CallError> {
        let args = vec![Value::from(user.as_str())];
        let reply = self.call("promotion_find_3", deal_id, &["deal", "held", "seats", "used"], args).await?;
        reply.or_no(reply::unfit, Reply::holding)
    }

    /// Uses a coupon for an order.
    pub async fn redeem(
        &self,
        (deal_id, rank): (&DealId, i64),
        user: &UserId,
        order: &OrderId,
        trace: &str,
    ) -> Result<Answer<Result<Holding, Unfit>>, CallError> {
        let (rank, limit) = (rank.to_string(), JOURNAL_LIMIT.to_string());
        let args = [deal_id.as_str(), user.as_str(), &rank, order.as_str(), trace, &limit];
        self.coupon("promotion_redeem_3", deal_id, &args).await?.or_no(reply::unfit, Reply::holding)
    }

    /// Takes a coupon back from an order, which can never redeem it afterwards. Whose it is Redis knows where an order has ever
    /// redeemed it.
    pub async fn restore(
        &self,
        (deal_id, rank): (&DealId, i64),
        order: &OrderId,
        trace: &str,
    ) -> Result<Answer<Result<Option<(UserId, Holding)>, Unfit>>, CallError> {
        let args = [deal_id.as_str(), &rank.to_string(), order.as_str(), trace];
        self.coupon("promotion_restore_3", deal_id, &args).await?.or_no(reply::unfit, Reply::restored)
    }

    /// Gives a coupon back.
    pub async fn give_back(
        &self,
        (deal_id, rank): (&DealId, i64),
        user: &UserId,
        trace: &str,
    ) -> Result<Answer<Result<Holding, Unfit>>, CallError> {
        let args = [deal_id.as_str(), user.as_str(), &rank.to_string(), trace];
        self.coupon("promotion_return_3", deal_id, &args).await?.or_no(reply::unfit, Reply::holding)
    }

    /// Who won a deal; nothing where it is not sold out, or has more than 50,000 holders.
    pub async fn winners(&self, deal_id: &DealId) -> Result<Answer<Option<Sold>>, CallError> {
        let args = vec![Value::from(WINNERS_MOST.to_string())];
        let reply = self.call("promotion_winners_3", deal_id, &["deal", "held", "seats"], args).await?;
        reply.sold()
    }

    /// Everybody who ever won a deal, read page by page: not one moment, where claims go on meanwhile.
    pub async fn holders(&self, deal_id: &DealId) -> Result<Answer<HashMap<Box<str>, Kept>>, CallError> {
        let mut all = HashMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let args = values(vec![cursor, HOLDERS_PAGE.to_string()]);
            let reply = self.call("promotion_holders_3", deal_id, &["deal", "held", "seats", "used"], args).await?;
            match reply.answer(Reply::page)? {
                Answer::Found((next, page)) => {
                    all.extend(page);
                    cursor = next;
                }
                Answer::Frozen => return Ok(Answer::Frozen),
                Answer::Missing => return Ok(Answer::Missing),
                Answer::Archived => return Ok(Answer::Archived),
            }
            if cursor == "0" {
                return Ok(Answer::Found(all));
            }
        }
    }

    /// Round and sequence of several deals of one tag.
    pub async fn rounds(&self, tag: Tag, deals: &[DealId]) -> Result<Answer<Rounds>, CallError> {
        let mut keys = vec![self.keys.fence(tag)];
        keys.extend(deals.iter().map(|deal_id| self.keys.key(tag, format_args!("deal:{deal_id}"))));
        let value = self.lane(tag).call("promotion_rounds_3", keys, Vec::new()).await?;
        Reply::new(value).answer(|reply| reply.rounds(deals.len()))
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
        let value = self.lane(tag).call("promotion_claim_3", keys, args).await?;
        Reply::new(value).answer(|reply| reply.claimed(users.len()))
    }

    /// A function of one coupon, which writes to the journal.
    async fn coupon(&self, function: &'static str, deal_id: &DealId, args: &[&str]) -> Result<Reply, CallError> {
        let tag = Tag::of(deal_id.as_str());
        let mut keys = self.keys(deal_id, &["deal", "held", "seats", "used"]);
        keys.push(self.keys.journal(tag));
        let args = args.iter().copied().map(Value::from).collect();
        Ok(Reply::new(self.lane(tag).call(function, keys, args).await?))
    }

    async fn call(
        &self,
        function: &'static str,
        deal_id: &DealId,
        kinds: &[&str],
        args: Vec<Value>,
    ) -> Result<Reply, CallError> {
        let tag = Tag::of(deal_id.as_str());
        Ok(Reply::new(self.lane(tag).call(function, self.keys(deal_id, kinds), args).await?))
    }

    /// A tag is always on the same lane, and so is each of its deals.
    fn lane(&self, tag: Tag) -> &kit::redis::Lane {
        self.redis.lane(u64::from(tag.number()))
    }

    fn keys(&self, deal_id: &DealId, kinds: &[&str]) -> Vec<String> {
        let tag = Tag::of(deal_id.as_str());
        let mut keys = Vec::with_capacity(kinds.len() + 2);
        keys.push(self.keys.fence(tag));
        keys.extend(kinds.iter().map(|kind| self.keys.key(tag, format_args!("{kind}:{deal_id}"))));
        keys
    }
}

fn values(args: Vec<String>) -> Vec<Value> {
    args.into_iter().map(Value::from).collect()
}
