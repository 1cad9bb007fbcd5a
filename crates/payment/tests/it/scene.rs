//! Orders that ask, payment that settles, a provider that is asked, and somebody who listens to the answers.

use std::sync::{Arc, Mutex};

use bus::consumer::{Consumer, Effects};
use bus::event::NewEvent;
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::{Outbox, Told};
use bus::relay::outbox::Relay;
use kit::config::Servers;
use kit::postgres::{Pool, Tx};
use payment::provider::words::State;
use payment::{Config, SERVICE, provider};
use prost::Message as _;
use proto::order::v1 as order;
use proto::payment::v1 as pb;
use proto::r#type::v1 as types;
use sqlx::postgres::PgPoolOptions;
use trial::ground::Ground;

use crate::running::{PATIENCE, Running, config, insist, until};
use crate::sandbox::Sandbox;

/// The service that asks, here played by the test.
const ORDER: &str = "order";
pub const AMOUNT: i64 = 700;

/// A place where all of them are.
pub struct Scene {
    pub ground: Ground,
    pub servers: Servers,
    pub sandbox: Sandbox,
    pub config: Config,
    /// The tables of payment.
    pub pool: Pool,
    orders: Pool,
    outbox: Outbox,
    answers: Heard,
    asking: Running,
    service: Option<Running>,
}

type Heard = Arc<Mutex<Vec<(String, pb::PaymentStepAnswered)>>>;

/// One request of an order.
#[derive(Debug, Clone)]
pub struct Request {
    pub order_id: String,
    pub kind: types::StepKind,
    pub amount: i64,
    pub method: String,
}

/// An answer, as far as tests care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub kind: types::StepKind,
    pub cause: String,
}

pub fn charge(order_id: &str) -> Request {
    let (order_id, method) = (order_id.to_owned(), "sandbox".to_owned());
    Request { order_id, kind: types::StepKind::Do, amount: AMOUNT, method }
}

pub fn undo(order_id: &str) -> Request {
    Request { kind: types::StepKind::Undo, ..charge(order_id) }
}

pub fn done(kind: types::StepKind) -> Answer {
    Answer { kind, cause: String::new() }
}

pub fn refused(cause: &str) -> Answer {
    Answer { kind: types::StepKind::Do, cause: cause.to_owned() }
}

impl Request {
    pub fn by(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub fn event(&self) -> NewEvent {
        let order_id = self.order_id.clone();
        let requested = order::PaymentRequested {
            order: Some(order::Order { order_id, user_id: "user".to_owned(), ..order::Order::default() }),
            kind: self.kind.into(),
            attempt: 1,
            amount: Some(types::Money { currency: "KRW".to_owned(), minor_units: self.amount }),
            payment_method: self.method.clone(),
        };
        NewEvent {
            kind: "booster.order.v1.PaymentRequested".to_owned(),
            subject: self.order_id.clone(),
            sequence: 1,
            partition_key: self.order_id.clone(),
            payload: requested.encode_to_vec().into(),
        }
    }
}

/// Hears what payment answers.
struct Listener(Heard);

impl Effects for Listener {
    async fn apply(&self, _: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let mut heard = self.0.lock().unwrap();
        for event in events {
            // It may come again where the transaction was not committed.
            if heard.iter().all(|(id, _)| *id != event.id) {
                let answered = pb::PaymentStepAnswered::decode(event.payload.clone()).unwrap();
                assert_eq!(event.subject, answered.answer.as_ref().unwrap().order_id);
                heard.push((event.id.clone(), answered));
            }
        }
        Ok(Told::nothing())
    }

    fn wants(&self, kind: &str) -> bool {
        kind == "booster.payment.v1.PaymentStepAnswered"
    }
}

impl Scene {
    /// All of them, with flags of the service.
    pub async fn begin(name: &str, flags: &[&str]) -> Self {
        let mut scene = Self::without_service(name, flags).await;
        scene.start_service().await;
        scene
    }

    /// All but the service.
    pub async fn without_service(name: &str, flags: &[&str]) -> Self {
        let ground = Ground::new(name).await;
        let servers = Servers { postgres_connections: 5, ..ground.servers() };
        for service in [ORDER, SERVICE] {
            bus::topic::make(&servers, service).await.unwrap();
        }
        let sandbox = Sandbox::start().await;
        let (outbox, answers) = (Outbox::default(), Heard::default());
        let asking = Running::start(|process| {
            let (servers, outbox, listener) = (servers.clone(), outbox.clone(), Listener(answers.clone()));
            async move {
                let pool = pool(&servers, ORDER).await;
                let relay = Relay {
                    service: ORDER,
                    servers: servers.clone(),
                    pool: pool.clone(),
                    connection: kit::postgres::options(&servers, ORDER).unwrap(),
                    outbox,
                    delivery_timeout: None,
                };
                bus::relay::outbox::spawn(&process, relay).await.unwrap();
                let consumer = Consumer::new("listener", ORDER, vec![bus::topic::name(SERVICE)], listener);
                bus::consumer::spawn(&process, &servers, pool, consumer).unwrap();
            }
        })
        .await;
        let (pool, orders) = (pool(&servers, SERVICE).await, pool(&servers, ORDER).await);
        let config = config(&sandbox.url(), flags);
        Self { ground, servers, sandbox, config, pool, orders, outbox, answers, asking, service: None }
    }

    pub async fn start_service(&mut self) {
        self.service = Some(Running::service(&self.servers, &self.config).await);
    }

    /// The service dies where it stands.
    pub fn kill_service(&mut self) {
        self.service.take().unwrap().die();
    }

    pub async fn stop_service(&mut self) {
        self.service.take().unwrap().stop().await;
    }

    pub fn url(&self) -> String {
        self.service.as_ref().unwrap().url()
    }

    /// Asks, in one transaction, and waits for nothing.
    pub async fn ask(&self, requests: &[Request]) {
        self.tell(&requests.iter().map(Request::event).collect::<Vec<_>>()).await;
    }

    /// Tells what an order never would.
    pub async fn tell(&self, events: &[NewEvent]) {
        let change = self.outbox.begin::<payment::payment::Refusal>(&self.orders).await.unwrap();
        change.commit(events).await.unwrap();
    }

    /// What an order was answered, in the order in which it heard it.
    pub fn answers(&self, order_id: &str) -> Vec<Answer> {
        let heard = self.answers.lock().unwrap();
        let answers = heard.iter().map(|(_, answered)| answered.answer.clone().unwrap());
        let answers = answers.filter(|answer| answer.order_id == order_id);
        answers
            .map(|answer| {
                assert_eq!(answer.done, answer.cause.is_empty());
                Answer { kind: answer.kind(), cause: answer.cause }
            })
            .collect()
    }

    /// How many answers there were.
    pub fn answered(&self) -> usize {
        self.answers.lock().unwrap().len()
    }

    /// Waits until an order has been answered so often.
    pub async fn until_answered(&self, order_id: &str, times: usize) -> Vec<Answer> {
        until(&format!("{order_id} is answered {times} times"), async || self.answers(order_id).len() >= times).await;
        self.answers(order_id)
    }

    /// Waits until so many answers have come.
    pub async fn until_all_answered(&self, times: usize) {
        until(&format!("{times} answers"), async || self.answered() >= times).await;
    }

    /// Waits until the provider has nothing more to be asked.
    pub async fn until_settled(&self) {
        until("everything is settled", async || self.number("SELECT count(*) FROM payment.due").await == 0).await;
    }

    /// A number that PostgreSQL tells.
    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    /// Where an order's payment stands.
    pub async fn state(&self, order_id: &str) -> String {
        let statement = "SELECT state FROM payment.payment WHERE order_id = $1";
        sqlx::query_scalar(statement).bind(order_id).fetch_one(&self.pool).await.unwrap()
    }

    /// Nobody was charged twice, and the table says what the provider's log says. Of how many payments.
    pub async fn verdict(&self) -> i64 {
        self.until_settled().await;
        for (key, deeds) in self.sandbox.deeds() {
            let charges = deeds.iter().filter(|deed| **deed == State::Charged).count();
            assert!(charges <= 1, "{key} was charged {charges} times");
        }
        let report = insist(async || payment::audit::run(&self.servers).await).await;
        assert_eq!((report.violations, report.unsettled), (Vec::<String>::new(), 0));
        let report = insist(async || payment::audit::against_log(&self.servers, &self.sandbox.log).await).await;
        assert_eq!((report.violations, report.unsettled), (Vec::<String>::new(), 0));
        report.payments
    }

    /// Ends all of them, and clears the place away.
    pub async fn end(mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
        self.asking.stop().await;
        self.pool.close().await;
        self.orders.close().await;
        self.ground.end().await;
    }
}

/// Switches of the provider, one of them changed.
pub fn switches(change: impl FnOnce(&mut provider::Switches)) -> provider::Switches {
    let mut switches = provider::Switches::default();
    change(&mut switches);
    switches
}

/// A pool that waits for as long as a test does.
async fn pool(servers: &Servers, service: &str) -> Pool {
    let options = PgPoolOptions::new().max_connections(servers.postgres_connections).acquire_timeout(PATIENCE);
    options.connect_with(kit::postgres::options(servers, service).unwrap()).await.unwrap()
}
