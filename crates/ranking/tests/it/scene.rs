//! A place of one test, and whoever tells of orders there: an outbox of order's, and its relay.

use std::collections::BTreeMap;

use bus::event::NewEvent;
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use fred::interfaces::{ClientLike as _, HashesInterface as _, KeysInterface as _, SortedSetsInterface as _};
use fred::types::config::{Config, ServerConfig};
use jiff::Timestamp;
use jiff::civil::Date;
use kit::boot::Process;
use kit::config::{Secret, Servers};
use kit::postgres::Pool;
use kit::redis::Redis;
use prost::Message as _;
use proto::order::v1 as pb;
use ranking::board::Board;
use ranking::redis::Boards;
use sqlx::Connection as _;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use trial::ground::Ground;
use trial::topic::Topic;

use crate::service::{process, until};

pub const PAID: &str = "booster.order.v1.OrderPaid";
pub const CANCELLED: &str = "booster.order.v1.OrderCancelled";
/// Whose events are told.
const ORDER: &str = "order";

/// Where one test is alone, and orders are told of.
pub struct Scene {
    pub servers: Servers,
    pub admin_url: Secret,
    admin: Mutex<sqlx::PgConnection>,
    /// For what no service would do.
    pub redis: fred::clients::Client,
    pub boards: Boards,
    ground: Option<Ground>,
    pool: Pool,
    outbox: Outbox,
    teller: Process,
    running: JoinHandle<std::process::ExitCode>,
}

/// What is on a board: scores as they are sorted, and versions. The bytes of both keys, as Redis dumps them.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub scores: Vec<(String, f64)>,
    pub versions: BTreeMap<String, String>,
}

impl Scene {
    /// Makes one.
    pub async fn new(name: &str) -> Self {
        let ground = Ground::new(name).await;
        let (servers, admin_url) = (few_connections(ground.servers()), ground.admin_url());
        Self { ground: Some(ground), ..Self::on(servers, admin_url).await }
    }

    /// One on servers that are the test's own.
    pub async fn on(servers: Servers, admin_url: Secret) -> Self {
        // A database that was just copied is slow for the first who comes.
        let admin = Mutex::new(warm(&admin_url).await);
        bus::topic::make(&servers, ORDER).await.unwrap();
        let pool = kit::postgres::connect(&servers, ORDER).await.unwrap();
        let (teller, running) = process().await;
        let outbox = Outbox::default();
        let relay = Relay {
            service: ORDER,
            servers: servers.clone(),
            pool: pool.clone(),
            connection: kit::postgres::options(&servers, ORDER).unwrap(),
            outbox: outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(&teller, relay).await.unwrap();
        let redis = connect(&servers).await;
        let boards = Boards::new(Redis::connect(&servers, 1, ranking::LIBRARIES).await.unwrap(), &servers);
        Self { servers, admin_url, admin, redis, boards, ground: None, pool, outbox, teller, running }
    }

    /// Clears it away; services in it must have ended.
    pub async fn end(self) {
        if let Some(ground) = self.close().await {
            ground.end().await;
        }
    }

    /// Nobody of this test is connected any more; its place stays.
    pub async fn close(self) -> Option<Ground> {
        self.teller.stop();
        self.running.await.unwrap();
        self.pool.close().await;
        self.admin.into_inner().close().await.unwrap();
        self.redis.quit().await.unwrap();
        self.ground
    }

    /// Tells of orders, in this order.
    pub async fn tell(&self, events: &[NewEvent]) {
        let mut change = None;
        until("something can be told", async || {
            change = self.outbox.begin::<()>(&self.pool).await.ok();
            change.is_some()
        })
        .await;
        change.unwrap().commit(events).await.unwrap();
    }

    /// The same, where each event has an id that the test chose, and so may come more than once.
    pub async fn tell_as(&self, events: &[(uuid::Uuid, NewEvent)]) {
        let now = kit::clock::now();
        for (id, event) in events {
            sqlx::query(
                "INSERT INTO outbox (ce_id, kind, subject, sequence, partition_key, payload, happened_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(id)
            .bind(&event.kind)
            .bind(&event.subject)
            .bind(event.sequence)
            .bind(&event.partition_key)
            .bind(&event.payload[..])
            // The same on every redelivery.
            .bind(now)
            .execute(&self.pool)
            .await
            .unwrap();
        }
    }

    /// What is told lies on this topic, and ranking reads it.
    pub fn topic(&self) -> Topic {
        Topic {
            brokers: self.servers.kafka_brokers.clone(),
            name: bus::topic::events(&self.servers, ORDER),
            group: self.servers.prefixed(ranking::SERVICE),
        }
    }

    /// Waits until everything that was told has been counted.
    pub async fn counted(&self) {
        until("everything is on the topic", async || {
            self.number("SELECT count(*) FROM \"order\".outbox WHERE sent_at IS NULL").await == 0
        })
        .await;
        let topic = self.topic();
        tokio::task::spawn_blocking(move || topic.read_to_the_end().unwrap()).await.unwrap();
    }

    /// Waits until it stands on the boards, too.
    pub async fn settled(&self) {
        self.counted().await;
        until("everything is on the boards", async || {
            self.number("SELECT count(*) FROM ranking.day_score WHERE applied < version").await == 0
        })
        .await;
    }

    /// A number that PostgreSQL tells.
    pub async fn number(&self, statement: &'static str) -> i64 {
        let mut admin = self.admin.lock().await;
        if let Ok(number) = sqlx::query_scalar(statement).fetch_one(&mut *admin).await {
            return number;
        }
        // Where PostgreSQL was away its sessions are gone.
        *admin = warm(&self.admin_url).await;
        sqlx::query_scalar(statement).fetch_one(&mut *admin).await.unwrap()
    }

    /// Statements that no service would run.
    pub async fn execute(&self, statements: &'static str) {
        let mut admin = self.admin.lock().await;
        sqlx::raw_sql(statements).execute(&mut *admin).await.unwrap();
    }

    /// Every row of the tables of ranking, those included that its consumer keeps.
    pub async fn dump(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut admin = self.admin.lock().await;
        let mut dump = BTreeMap::new();
        for (table, statement) in [
            ("sale", "SELECT t::text FROM ranking.sale AS t ORDER BY 1"),
            ("day_score", "SELECT t::text FROM ranking.day_score AS t ORDER BY 1"),
            ("all_time", "SELECT t::text FROM ranking.all_time AS t ORDER BY 1"),
            ("inbox", "SELECT t::text FROM ranking.inbox AS t ORDER BY 1"),
            ("parked", "SELECT t::text FROM ranking.parked AS t ORDER BY 1"),
        ] {
            dump.insert(table, sqlx::query_scalar(statement).fetch_all(&mut *admin).await.unwrap());
        }
        dump
    }

    /// What is on a board.
    pub async fn seen(&self, board: Board) -> Seen {
        let [scores, versions] = self.boards.keys(&board);
        Seen {
            scores: self.redis.zrange(scores, 0, -1, None, false, None, true).await.unwrap(),
            versions: self.redis.hgetall(versions).await.unwrap(),
        }
    }

    /// Both keys of a board, byte for byte.
    pub async fn bytes(&self, board: Board) -> [Vec<u8>; 2] {
        let mut bytes = [const { Vec::new() }; 2];
        for (bytes, key) in bytes.iter_mut().zip(self.boards.keys(&board)) {
            let dumped: Option<bytes::Bytes> = self.redis.dump(key).await.unwrap();
            *bytes = dumped.unwrap_or_default().to_vec();
        }
        bytes
    }

    /// Redis loses a board.
    pub async fn lose(&self, board: Board) {
        for key in self.boards.keys(&board) {
            let _: i64 = self.redis.del(key).await.unwrap();
        }
    }

    /// The audit finds nothing.
    pub async fn assert_clean(&self) -> ranking::audit::Report {
        let report = ranking::audit::run(&self.servers).await.unwrap();
        assert_eq!(report.violations, Vec::<String>::new());
        report
    }
}

/// A connection that has read what each first one has to read.
pub async fn warm(admin_url: &Secret) -> sqlx::PgConnection {
    let mut admin = sqlx::PgConnection::connect(admin_url.expose()).await.unwrap();
    sqlx::query("SELECT FROM pg_class").execute(&mut admin).await.unwrap();
    admin
}

/// Many tests share one PostgreSQL.
pub fn few_connections(servers: Servers) -> Servers {
    Servers { postgres_connections: 6, ..servers }
}

/// The boards of a day and of its week.
pub fn boards_of(day: Date) -> [Board; 2] {
    [Board::of_day(day), Board::of_week(day)]
}

/// An order that was paid then, of so many of each item at a venue.
pub fn order(order_id: &str, paid_at: Timestamp, lines: &[(&str, i64, &str)]) -> pb::Order {
    let lines = lines.iter().map(|(item_id, quantity, venue_id)| pb::OrderLine {
        item_id: (*item_id).to_owned(),
        quantity: *quantity,
        unit_price: None,
        venue_id: (*venue_id).to_owned(),
    });
    let paid_at = prost_types::Timestamp { seconds: paid_at.as_second(), nanos: paid_at.subsec_nanosecond() };
    pb::Order { order_id: order_id.to_owned(), lines: lines.collect(), paid_at: Some(paid_at), ..pb::Order::default() }
}

/// It was paid.
pub fn paid(order: &pb::Order) -> NewEvent {
    event(PAID, 2, order)
}

/// It was cancelled.
pub fn cancelled(order: &pb::Order) -> NewEvent {
    event(CANCELLED, 3, order)
}

/// An event of this type that carries the order.
pub fn event(kind: &str, sequence: i64, order: &pb::Order) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        subject: order.order_id.clone(),
        sequence,
        partition_key: order.order_id.clone(),
        // All messages of orders have it in the same place.
        payload: pb::OrderPaid { order: Some(order.clone()) }.encode_to_vec().into(),
    }
}

/// A connection to the cluster for what no service would do.
pub async fn connect(servers: &Servers) -> fred::clients::Client {
    let nodes = servers.redis_nodes.iter().map(|node| {
        let (host, port) = node.split_once(':').unwrap();
        (host.to_owned(), port.parse::<u16>().unwrap())
    });
    let config = Config { server: ServerConfig::new_clustered(nodes.collect::<Vec<_>>()), ..Config::default() };
    let client = fred::types::Builder::from_config(config).build().unwrap();
    client.init().await.unwrap();
    client
}
