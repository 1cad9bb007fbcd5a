//! Orders, as far as point knows them: they ask by events, and are answered by events.

use bus::event::NewEvent;
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use kit::boot::Process;
use kit::config::Servers;
use kit::postgres::Pool;
use prost::Message as _;
use proto::order::v1 as pb;
use proto::point::v1::PointsStepAnswered;
use proto::r#type::v1::StepKind;
use trial::topic::Topic;

use crate::service::until;

/// What asks for points.
const POINTS_REQUESTED: &str = "booster.order.v1.PointsRequested";
/// The service whose role, schema and topic these are.
const SERVICE: &str = "order";

/// Whoever asks in the name of orders, and reads what point answers.
pub struct Orders {
    servers: Servers,
    pool: Pool,
    outbox: Outbox,
    /// Of point.
    answers: Pool,
}

/// What an order was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub done: bool,
    pub cause: String,
    pub amount: i64,
}

impl Orders {
    /// Lets a process send what orders ask.
    pub async fn start(servers: &Servers, process: &Process) -> Self {
        let pool = kit::postgres::connect(servers, SERVICE).await.unwrap();
        let answers = kit::postgres::connect(servers, point::SERVICE).await.unwrap();
        let outbox = Outbox::default();
        let relay = Relay {
            service: SERVICE,
            servers: servers.clone(),
            pool: pool.clone(),
            connection: kit::postgres::options(servers, SERVICE).unwrap(),
            outbox: outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(process, relay).await.unwrap();
        Self { servers: servers.clone(), pool, outbox, answers }
    }

    /// Asks, and waits until this is answered too.
    pub async fn ask(&self, order_id: &str, user_id: &str, points: i64, kind: StepKind) -> Told {
        let before = self.told(order_id, kind).await.len();
        self.send(&[requested(order_id, user_id, points, kind)]).await;
        until(&format!("{order_id} is answered"), async || self.told(order_id, kind).await.len() > before).await;
        self.told(order_id, kind).await.remove(before)
    }

    /// Asks for the points of an order.
    pub async fn take(&self, order_id: &str, user_id: &str, points: i64) -> Told {
        self.ask(order_id, user_id, points, StepKind::Do).await
    }

    /// Gives them back.
    pub async fn undo(&self, order_id: &str, user_id: &str, points: i64) -> Told {
        self.ask(order_id, user_id, points, StepKind::Undo).await
    }

    /// Tells events, each of them one more, in one transaction.
    pub async fn send(&self, events: &[NewEvent]) {
        let change = self.outbox.begin::<()>(&self.pool).await.unwrap();
        change.commit(events).await.unwrap();
    }

    /// What an order was told when it asked this, each time; the same is said on the topic.
    pub async fn told(&self, order_id: &str, kind: StepKind) -> Vec<Told> {
        let statement = "SELECT sequence, payload FROM point.outbox
             WHERE kind = 'booster.point.v1.PointsStepAnswered' AND subject = $1 ORDER BY id";
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as(statement).bind(order_id).fetch_all(&self.answers).await.unwrap();
        let said = rows.iter().map(|(sequence, payload)| {
            let said = PointsStepAnswered::decode(payload.as_slice()).unwrap();
            let answer = said.answer.unwrap();
            assert_eq!((answer.order_id.as_str(), i64::from(answer.kind)), (order_id, *sequence));
            (answer.kind(), Told { done: answer.done, cause: answer.cause, amount: said.amount })
        });
        said.filter(|(said, _)| *said == kind).map(|(_, told)| told).collect()
    }

    /// The topic on which orders ask, and who reads it.
    pub fn topic(&self) -> Topic {
        Topic {
            brokers: self.servers.kafka_brokers.clone(),
            name: bus::topic::events(&self.servers, SERVICE),
            group: self.servers.prefixed(point::SERVICE),
        }
    }

    /// Waits until everything that orders have asked was read.
    pub async fn all_read(&self) {
        let unsent = "SELECT count(*) FROM \"order\".outbox WHERE sent_at IS NULL";
        until("everything is on the topic", async || {
            sqlx::query_scalar::<_, i64>(unsent).fetch_one(&self.pool).await.unwrap() == 0
        })
        .await;
        let topic = self.topic();
        tokio::task::spawn_blocking(move || topic.read_to_the_end().unwrap()).await.unwrap();
    }
}

/// What an order asks.
pub fn requested(order_id: &str, user_id: &str, points: i64, kind: StepKind) -> NewEvent {
    let (order, user_id) = (order_id.to_owned(), user_id.to_owned());
    let order = pb::Order { order_id: order, user_id, points_used: points, ..pb::Order::default() };
    let requested = pb::PointsRequested { order: Some(order), kind: kind.into(), attempt: 1 };
    event(order_id, POINTS_REQUESTED, requested.encode_to_vec())
}

/// An event of an order, whatever it says.
pub fn event(order_id: &str, kind: &str, payload: Vec<u8>) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        subject: order_id.to_owned(),
        sequence: 1,
        partition_key: order_id.to_owned(),
        payload: payload.into(),
    }
}

/// It was done.
pub fn done(amount: i64) -> Told {
    Told { done: true, cause: String::new(), amount }
}

/// It was not done.
pub fn refused(cause: &str) -> Told {
    Told { done: false, cause: cause.to_owned(), amount: 0 }
}
