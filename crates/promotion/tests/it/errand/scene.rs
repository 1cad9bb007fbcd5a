//! Promotion beside an order service of the tests' own, which asks by its outbox.

use std::time::Duration;

use bus::arrival::{self, Arrival};
use bus::consumer::replay::{Order, Replay, Taken};
use bus::event::NewEvent;
use bus::journal::{Keys, Tag};
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use kit::boot::Process;
use kit::config::Servers;
use kit::postgres::Pool;
use kit::redis::Redis;
use promotion::errand::{ANSWERED, Desk};
use prost::Message as _;
use proto::order::v1::{CouponRequested, Order as PlacedOrder};
use proto::promotion::v1::CouponStepAnswered;
use proto::r#type::v1::StepKind;
use tokio::time::Instant;
use trial::ground::Ground;

use crate::service::Service;

/// How long whatever must happen in the end may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The service that asks.
const ORDER: &str = "order";
const TABLES: &[&str] = &["errand", "coupon", "inbox", "outbox", "parked", "journal_progress"];

/// Promotion, running, with a deal `lunch` of five of which ann (1) and bob (2) hold a coupon; and who asks.
pub struct Scene {
    pub service: Service,
    pub asking: Asking,
    pool: Pool,
}

/// An order service that can do nothing but ask.
pub struct Asking {
    servers: Servers,
    pool: Pool,
    outbox: Outbox,
}

/// One answer, as it was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub sequence: i64,
    pub partition_key: String,
    pub payload: CouponStepAnswered,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub order_id: String,
    pub kind: StepKind,
    pub done: bool,
    pub cause: String,
    pub sequence: i64,
}

pub fn answer(told: &Told) -> Said {
    let answer = told.payload.answer.clone().unwrap();
    Said {
        kind: answer.kind(),
        order_id: answer.order_id,
        done: answer.done,
        cause: answer.cause,
        sequence: told.sequence,
    }
}

pub fn done(order_id: &str, kind: StepKind, sequence: i64) -> Said {
    Said { order_id: order_id.to_owned(), kind, done: true, cause: String::new(), sequence }
}

pub fn refused(order_id: &str, kind: StepKind, sequence: i64, cause: &str) -> Said {
    Said { done: false, cause: cause.to_owned(), ..done(order_id, kind, sequence) }
}

impl Asking {
    pub async fn new(ground: &Ground) -> Self {
        let servers = ground.servers();
        bus::topic::make(&servers, ORDER).await.unwrap();
        Self { pool: kit::postgres::connect(&servers, ORDER).await.unwrap(), servers, outbox: Outbox::default() }
    }

    /// Its relay runs in this process.
    pub async fn relay(&self, process: &Process) {
        let relay = Relay {
            service: ORDER,
            servers: self.servers.clone(),
            pool: self.pool.clone(),
            connection: kit::postgres::options(&self.servers, ORDER).unwrap(),
            outbox: self.outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(process, relay).await.unwrap();
    }

    /// Asks for these steps at once, each by an event of its own.
    pub async fn ask(&self, order_id: &str, user_id: &str, coupon_id: &str, kinds: &[StepKind]) {
        let (id, user_id, coupon_id) = (order_id.to_owned(), user_id.to_owned(), coupon_id.to_owned());
        let order = PlacedOrder { order_id: id, user_id, coupon_id, ..PlacedOrder::default() };
        let events = (1..).zip(kinds).map(|(attempt, kind)| NewEvent {
            kind: "booster.order.v1.CouponRequested".to_owned(),
            subject: order_id.to_owned(),
            sequence: attempt.into(),
            partition_key: order_id.to_owned(),
            payload: CouponRequested { order: Some(order.clone()), kind: (*kind).into(), attempt }
                .encode_to_vec()
                .into(),
        });
        let change = self.outbox.begin::<()>(&self.pool).await.unwrap();
        change.commit(&events.collect::<Vec<_>>()).await.unwrap();
    }
}

impl Scene {
    pub async fn new(name: &str) -> Self {
        let mut scene = Self::around(Service::start(name).await).await;
        scene.service.deal("lunch", 5).await;
        for user in ["ann", "bob"] {
            scene.service.claim("lunch", user).await.unwrap();
        }
        scene
    }

    /// With a service that runs already.
    pub async fn around(service: Service) -> Self {
        let asking = Asking::new(&service.ground).await;
        asking.relay(&service.process).await;
        let pool = kit::postgres::connect(&service.ground.servers(), promotion::SERVICE).await.unwrap();
        Self { service, asking, pool }
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    pub async fn ask(&self, order_id: &str, user_id: &str, coupon_id: &str, kinds: &[StepKind]) {
        self.asking.ask(order_id, user_id, coupon_id, kinds).await;
    }

    /// What an order was told so far, in order.
    pub async fn told(&self, order_id: &str) -> Vec<Told> {
        told(&self.pool, order_id).await
    }

    /// What an order was told, once it was told so much; and never more than that.
    pub async fn answers(&self, order_id: &str, number: usize) -> Vec<Told> {
        self.until(&format!("{order_id} is told {number} times"), async |scene| {
            scene.told(order_id).await.len() >= number
        })
        .await;
        let told = self.told(order_id).await;
        assert_eq!(told.len(), number, "{told:?}");
        told
    }

    /// What an order was told once all that it has asked for so far is answered.
    pub async fn settled(&self, order_id: &str) -> Vec<Told> {
        self.consumed_by(promotion::ORDERS, ORDER).await;
        let open = "SELECT count(*) FROM promotion.errand WHERE ended_at IS NULL";
        self.until("nothing is open", async |scene| scene.number(open).await == 0).await;
        self.told(order_id).await
    }

    /// Waits until all that was told has been sent and taken effect, here and there.
    pub async fn consumed(&self) {
        let unsent = "SELECT count(*) FROM promotion.outbox WHERE sent_at IS NULL";
        self.until("all answers are sent", async |scene| scene.number(unsent).await == 0).await;
        self.arrived("lunch").await;
        self.consumed_by(promotion::ORDERS, ORDER).await;
        self.consumed_by(promotion::SERVICE, promotion::SERVICE).await;
    }

    async fn consumed_by(&self, consumer: &str, service: &str) {
        if service == ORDER {
            let unsent = r#"SELECT count(*) FROM "order".outbox WHERE sent_at IS NULL"#;
            self.until("all requests are sent", async |scene| scene.asking.number(unsent).await == 0).await;
        }
        let servers = self.service.ground.servers();
        let topic = trial::topic::Topic {
            brokers: servers.kafka_brokers.clone(),
            name: bus::topic::events(&servers, service),
            group: servers.prefixed(consumer),
        };
        tokio::task::spawn_blocking(move || topic.read_to_the_end()).await.unwrap().unwrap();
    }

    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A coupon in PostgreSQL, once everything has arrived there: how often it has changed, and how it stands.
    pub async fn stored(&self, deal_id: &str, rank: i64) -> String {
        self.arrived(deal_id).await;
        let statement = "SELECT version || ' ' || state || coalesce(' by ' || order_id, '') FROM promotion.coupon
            WHERE deal_id = $1 AND rank = $2";
        sqlx::query_scalar(statement).bind(deal_id).bind(rank).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until everything that Redis has told of a deal is in PostgreSQL.
    async fn arrived(&self, deal_id: &str) {
        let servers = self.service.ground.servers();
        let redis = Redis::connect(&servers, 1, promotion::LIBRARIES).await.unwrap();
        let keys = Keys::new(&servers, promotion::SERVICE);
        let arrival = arrival::wait(&redis, &self.pool, &keys, Tag::of(deal_id), PATIENCE).await.unwrap();
        assert_eq!(arrival, Arrival::Complete);
        redis.close().await;
    }

    /// Everything that promotion has in PostgreSQL, as text.
    pub async fn dump(&self) -> Vec<String> {
        let mut dump = Vec::new();
        for table in TABLES {
            let statement = format!("SELECT row::text FROM promotion.{table} AS row ORDER BY 1");
            let rows: Vec<String> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await.unwrap();
            dump.extend(rows.into_iter().map(|row| format!("{table} {row}")));
        }
        dump
    }

    /// Takes both topics through promotion's consumers once more, from their beginning.
    pub async fn replay(&self) -> Taken {
        let (servers, mut sum) = (self.service.ground.servers(), Taken::default());
        for consumer in promotion::consumers(&Desk::default()) {
            let order = Order { topic: consumer.topics()[0].clone(), from: None, to: None, per_second: 10_000 };
            let mut replay = Replay::begin(&servers, self.pool.clone(), consumer, &order).await.unwrap();
            while let Some(taken) = replay.step().await.unwrap() {
                sum += taken;
            }
        }
        sum
    }

    /// Ends it, once the audit has found nothing.
    pub async fn end_clean(self) {
        let report = promotion::audit::run(&self.service.ground.servers(), None).await.unwrap();
        assert_eq!(report.violations, Vec::<String>::new());
        self.end().await;
    }

    pub async fn end(self) {
        self.pool.close().await;
        self.asking.pool.close().await;
        self.service.end().await;
    }
}

impl Asking {
    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }
}

/// What an order was told so far, in order.
pub async fn told(pool: &Pool, order_id: &str) -> Vec<Told> {
    let statement =
        "SELECT sequence, partition_key, payload FROM promotion.outbox WHERE kind = $1 AND subject = $2 ORDER BY id";
    let rows = sqlx::query_as::<_, (i64, String, Vec<u8>)>(statement).bind(ANSWERED).bind(order_id);
    let rows = rows.fetch_all(pool).await.unwrap();
    let told = |(sequence, partition_key, payload): (i64, String, Vec<u8>)| Told {
        sequence,
        partition_key,
        payload: CouponStepAnswered::decode(payload.as_slice()).unwrap(),
    };
    rows.into_iter().map(told).collect()
}
