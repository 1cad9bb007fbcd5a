//! The functions of before: their text as it was, called as their process called them.

use bus::journal::{Keys, Tag};
use fred::types::Value;
use kit::config::Servers;
use kit::redis::{Library, Redis};
use promotion::deal::{DealId, Wish};
use promotion::redis::JOURNAL_LIMIT;

/// As it was loaded by a process of before.
const LIBRARY: Library = Library {
    name: "promotion_2",
    sources: &[
        include_str!("fence.lua"),
        include_str!("deal.lua"),
        include_str!("claim.lua"),
        include_str!("coupon.lua"),
        include_str!("winners.lua"),
    ],
};

/// Deals as a process of before has them.
pub struct Before {
    redis: Redis,
    keys: Keys,
}

/// A deal, as it told of it: stock, issued, live, round, opens, closes, armed and not frozen, closed.
pub type Look = (i64, i64, i64, i64, i64, i64, bool, bool);

/// What was said to one user: the code of the outcome, and the rank.
pub type Said = (i64, i64);

/// Codes of outcomes.
pub const WON: i64 = 1;
pub const HELD: i64 = 2;
pub const RETURNED: i64 = 3;
pub const SOLD_OUT: i64 = 4;
pub const CLOSED: i64 = 6;

impl Before {
    pub async fn connect(servers: &Servers) -> Self {
        let redis = Redis::connect(servers, 1, &[LIBRARY]).await.unwrap();
        Self { redis, keys: Keys::new(servers, promotion::SERVICE) }
    }

    pub async fn put(&self, wish: &Wish) {
        self.put_again(wish).await;
        self.arm(&wish.deal_id).await;
    }

    /// A deal that is there stays as it is.
    pub async fn put_again(&self, wish: &Wish) {
        let terms = serde_json::to_string(&wish.terms).unwrap();
        let opens = kit::clock::to_millis(wish.opens_at).to_string();
        let closes = kit::clock::to_millis(wish.closes_at).to_string();
        let args = ["1", &wish.stock.to_string(), &opens, &closes, "0", &terms];
        self.ok("promotion_put_2", &wish.deal_id, &["deal", "held", "seats"], &args).await;
    }

    pub async fn arm(&self, deal_id: &DealId) {
        self.ok("promotion_arm_2", deal_id, &["deal"], &[]).await;
    }

    pub async fn look(&self, deal_id: &DealId) -> Look {
        let told = self.ok("promotion_look_2", deal_id, &["deal", "seats"], &[]).await;
        let number = |index: usize| told[index].parse::<i64>().unwrap();
        let live = number(5) - number(6);
        let serves = told[12] == "1" && told[13] == "0";
        (number(3), number(4), live, number(7), number(10), number(11), serves, !told[14].is_empty())
    }

    /// One batch: what each user was told.
    pub async fn claim(&self, deal_id: &DealId, users: &[&str]) -> Vec<Said> {
        let not_after = (kit::clock::to_millis(kit::clock::now()) + 60_000).to_string();
        let limit = JOURNAL_LIMIT.to_string();
        let mut args = vec![not_after.as_str(), limit.as_str(), deal_id.as_str(), ""];
        args.extend(users);
        let told = self.ok("promotion_claim_2", deal_id, &["deal", "held", "seats", "journal"], &args).await;
        let outcomes = told[6..].chunks(3);
        outcomes.map(|outcome| (outcome[0].parse().unwrap(), outcome[1].parse().unwrap())).collect()
    }

    pub async fn find(&self, deal_id: &DealId, user: &str) -> Said {
        let told = self.ok("promotion_find_2", deal_id, &["deal", "held"], &[user]).await;
        (told[3].parse().unwrap(), told[4].parse().unwrap())
    }

    /// "OK", or why not.
    pub async fn give_back(&self, deal_id: &DealId, user: &str, rank: i64) -> String {
        let args = [deal_id.as_str(), user, &rank.to_string(), ""];
        let told = self.told("promotion_return_2", deal_id, &["deal", "held", "seats", "journal"], &args).await;
        told[usize::from(told[0] == "NO")].clone()
    }

    /// The stock in force, and why not.
    pub async fn update(&self, deal_id: &DealId, version: i64, stock: i64) -> (i64, String) {
        let args = [version.to_string(), stock.to_string()];
        let told = self.ok("promotion_update_2", deal_id, &["deal"], &[&args[0], &args[1]]).await;
        (told[2].parse().unwrap(), told[3].clone())
    }

    /// Who won, where it is sold out: user and what is kept of him.
    pub async fn winners(&self, deal_id: &DealId) -> Vec<(String, String)> {
        let told = self.ok("promotion_winners_2", deal_id, &["deal", "held", "seats"], &["50000"]).await;
        pairs(&told[6..])
    }

    /// The status of a look, where it may not be there.
    pub async fn status(&self, deal_id: &DealId) -> String {
        self.told("promotion_look_2", deal_id, &["deal", "seats"], &[]).await[0].clone()
    }

    async fn ok(&self, function: &'static str, deal_id: &DealId, rooms: &[&str], args: &[&str]) -> Vec<String> {
        let told = self.told(function, deal_id, rooms, args).await;
        assert_eq!(told[0], "OK", "{function}: {told:?}");
        told
    }

    async fn told(&self, function: &'static str, deal_id: &DealId, rooms: &[&str], args: &[&str]) -> Vec<String> {
        let tag = Tag::of(deal_id.as_str());
        let key = |room: &&str| match *room {
            "journal" => self.keys.journal(tag),
            room => self.keys.key(tag, format_args!("{room}:{deal_id}")),
        };
        let keys = std::iter::once(self.keys.fence(tag)).chain(rooms.iter().map(key)).collect();
        let args = args.iter().copied().map(Value::from).collect();
        let reply = self.redis.lane(0).call(function, keys, args).await.unwrap();
        reply.into_array().into_iter().map(|part| part.into_string().unwrap()).collect()
    }
}

/// All holders, in the order of their names, without the field that keeps the hash alive.
fn pairs(told: &[String]) -> Vec<(String, String)> {
    let pairs = told.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    let mut pairs: Vec<_> = pairs.filter(|(user, _)| user != ":").collect();
    pairs.sort();
    pairs
}
