//! A place of one test: its own namespace and database, topics, stamped journals, and the tables of the counting service.

use std::collections::HashMap;
use std::time::Duration;

use bus::journal::{EntryId, Keys, Tag};
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::config::{Config, ServerConfig};
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;
use tokio::time::Instant;
use trial::ground::Ground;

use crate::counting::{self, SERVICE};

/// How long whatever must happen in the end may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pauses between two looks whether it has happened: doubled from the first to the last.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(200));
/// Connections of each pool, at most: many tests share one PostgreSQL.
const CONNECTIONS: u32 = 4;

/// Where one test is alone.
pub struct Place {
    pub ground: Ground,
    pub servers: Servers,
    pub keys: Keys,
    pub pool: Pool,
    /// For what no service would do.
    pub redis: Client,
}

/// One event that took effect.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Effect {
    pub ce_id: String,
    pub subject: String,
    pub sequence: i64,
    pub trace: Option<String>,
    pub body: String,
}

/// One event that was parked.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Parked {
    pub parking_key: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub headers: serde_json::Value,
    pub payload: Vec<u8>,
    pub cause: String,
    pub attempts: i32,
}

impl Place {
    /// Makes one. `name` is for people who look at the servers.
    pub async fn new(name: &str) -> Self {
        let ground = Ground::new(name).await;
        let servers = Servers { postgres_connections: CONNECTIONS, ..ground.servers() };
        bus::topic::make(&servers, SERVICE).await.unwrap();
        let keys = Keys::new(&servers, SERVICE);
        let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
        let redis = Redis::connect(&servers, 1, &[bus::redis::LIBRARY]).await.unwrap();
        bus::stamp::stamp(&redis, &pool, &keys).await.unwrap();
        redis.close().await;
        counting::make_tables(&pool).await;
        let redis = connect(&servers).await;
        Self { ground, servers, keys, pool, redis }
    }

    /// Clears it away; processes in it must have ended.
    pub async fn end(self) {
        self.redis.quit().await.unwrap();
        self.pool.close().await;
        self.ground.end().await;
    }

    /// The topic of the service.
    pub fn topic(&self) -> String {
        bus::topic::events(&self.servers, SERVICE)
    }

    /// Writes one entry into the journal of `tag`, as a function of the service would.
    pub async fn write(&self, tag: Tag, fields: HashMap<String, String>) -> EntryId {
        self.write_as(tag, "*", fields).await
    }

    /// The same, under an id of one's own.
    pub async fn write_as(&self, tag: Tag, id: &str, fields: HashMap<String, String>) -> EntryId {
        let fields: Vec<(String, String)> = fields.into_iter().collect();
        let id: String = self.redis.xadd(self.keys.journal(tag), false, None, id, fields).await.unwrap();
        id.parse().unwrap()
    }

    /// Writes entries one after the other, of one event each: subject `<name>`, sequences from `first` on.
    pub async fn write_many(&self, tag: Tag, name: &str, first: i64, number: i64) -> Vec<EntryId> {
        let mut ids = Vec::new();
        for sequence in first..first + number {
            ids.push(self.write(tag, counting::entry(name, sequence)).await);
        }
        ids
    }

    /// How many entries the journal of `tag` holds.
    pub async fn length(&self, tag: Tag) -> i64 {
        self.redis.xlen(self.keys.journal(tag)).await.unwrap()
    }

    /// A number that PostgreSQL tells.
    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    /// What took effect for a consumer, in the order in which it did.
    pub async fn effects(&self, consumer: &str) -> Vec<Effect> {
        let statement = "SELECT ce_id, subject, sequence, trace, body FROM effect WHERE consumer = $1 ORDER BY n";
        sqlx::query_as(statement).bind(consumer).fetch_all(&self.pool).await.unwrap()
    }

    /// What is parked for a consumer, in the order in which it was.
    pub async fn parked(&self, consumer: &str) -> Vec<Parked> {
        let statement = r#"SELECT parking_key, topic, partition, "offset", headers, payload, cause, attempts
             FROM parked WHERE consumer = $1 ORDER BY id"#;
        sqlx::query_as(statement).bind(consumer).fetch_all(&self.pool).await.unwrap()
    }

    /// Waits until so many different events have taken effect for a consumer.
    pub async fn until_effects(&self, consumer: &str, number: i64) {
        let statement = "SELECT count(DISTINCT ce_id) FROM effect WHERE consumer = $1";
        until(&format!("{number} events take effect"), async || {
            sqlx::query_scalar::<_, i64>(statement).bind(consumer).fetch_one(&self.pool).await.unwrap() >= number
        })
        .await;
    }

    /// So many events took effect for a consumer, each of them once.
    pub async fn assert_once(&self, consumer: &str, number: usize) {
        let effects = self.effects(consumer).await;
        let mut times = HashMap::new();
        for effect in &effects {
            *times.entry(effect.ce_id.as_str()).or_insert(0) += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "took effect more than once: {twice:?}");
        assert_eq!(effects.len(), number);
    }
}

/// Waits until something holds; panics where it does not within [`PATIENCE`].
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    within(PATIENCE, what, holds).await;
}

/// Waits until something holds; panics where it does not in time.
pub async fn within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    let mut pause = LOOK.0;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}

/// The tag with this number.
pub fn tag(number: u16) -> Tag {
    Tag::new(number).unwrap()
}

async fn connect(servers: &Servers) -> Client {
    let nodes = servers.redis_nodes.iter().map(|node| {
        let (host, port) = node.rsplit_once(':').unwrap();
        (host.to_owned(), port.parse::<u16>().unwrap())
    });
    let config = Config {
        server: ServerConfig::new_clustered(nodes.collect::<Vec<_>>()),
        username: servers.redis_username.clone(),
        password: servers.redis_password.as_ref().map(|secret| secret.expose().to_owned()),
        ..Config::default()
    };
    let client = fred::types::Builder::from_config(config).build().unwrap();
    client.init().await.unwrap();
    client
}

/// The seed of a test that takes chances: `BOOSTER_TEST_SEED`, or a new one. It is printed, and shown where the test fails.
#[expect(clippy::print_stdout, reason = "the seed is printed, so that a failure can be repeated")]
pub fn seed() -> u64 {
    let given = std::env::var("BOOSTER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("BOOSTER_TEST_SEED={seed}");
    seed
}
