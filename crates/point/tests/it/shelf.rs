//! The ledger alone: no service runs, so that nobody but the test changes anything.

use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use kit::postgres::Pool;
use point::account::{OrderId, UserId};
use point::apply::Books;
use point::operation::{Asked, Operation, Outcome};
use time::OffsetDateTime;
use trial::ground::Ground;

use crate::service::{Running, servers};

/// A ledger, and who sends what it tells.
pub struct Shelf {
    pub ground: Ground,
    pub books: Books,
    running: Running,
}

impl Shelf {
    pub async fn new(name: &str) -> Self {
        let ground = Ground::new(name).await;
        let servers = servers(&ground);
        bus::topic::make(&servers, point::SERVICE).await.unwrap();
        let mut running = Running::prepare().await;
        let books = books(&ground).await;
        let relay = Relay {
            service: point::SERVICE,
            connection: kit::postgres::options(&servers, point::SERVICE).unwrap(),
            servers,
            pool: books.pool.clone(),
            outbox: books.outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(&running.process, relay).await.unwrap();
        running.accept();
        Self { ground, books, running }
    }

    pub fn pool(&self) -> &Pool {
        &self.books.pool
    }

    pub async fn one(&self, operation: Operation) -> Outcome {
        self.books.apply(&[&Asked { operation, request: None }]).await.unwrap().remove(0)
    }

    pub async fn end(self) {
        self.running.stop().await;
        self.ground.end().await;
    }
}

/// What another process would have.
pub async fn books(ground: &Ground) -> Books {
    let pool = kit::postgres::connect(&servers(ground), point::SERVICE).await.unwrap();
    Books { pool, outbox: Outbox::default(), tell: point::kafka::event }
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn earn(user_id: &str, amount: i64, expires_at: Option<OffsetDateTime>) -> Operation {
    Operation::Earn { user_id: user(user_id), amount, expires_at, reason: None }
}

pub fn deduct(user_id: &str, amount: i64, order_id: &str) -> Operation {
    Operation::Deduct { user_id: user(user_id), amount, order_id: OrderId::parse(order_id).unwrap() }
}

pub fn refund(order_id: &str) -> Operation {
    Operation::Refund { order_id: OrderId::parse(order_id).unwrap() }
}
