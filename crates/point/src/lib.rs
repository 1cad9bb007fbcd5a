#![doc = include_str!("../README.md")]

pub mod account;
pub mod entry;
pub mod order;
pub mod refusal;
pub mod operation;
pub mod ledger;

pub mod kafka;
pub mod grpc;

pub mod lane;
pub mod sweep;
pub mod find;
pub mod audit;
pub mod apply;

pub mod postgres;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use bus::repair::Repair;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::postgres::Pool;

use crate::apply::Books;
use crate::lane::Lanes;

/// The service's name: its role and schema in PostgreSQL, its keys, its topic, its consumer group.
pub const SERVICE: &str = "point";
/// The service whose orders it serves.
const ORDER: &str = "order";

/// What this service consumes, and what that does: [`run`] starts it, and `booster replay` takes a span of a topic through it again.
/// Answers go into `outbox`.
#[must_use]
pub fn consumers(outbox: &Outbox) -> Vec<Consumer> {
    let steps = kafka::Steps { outbox: outbox.clone() };
    vec![Consumer::new(SERVICE, SERVICE, vec![bus::topic::name(ORDER)], steps)]
}

/// Reaches its store, starts its tasks and adds its service to the process. Ready when it returns. What it gives back shows and repairs
/// what its consumers have parked.
///
/// # Errors
/// One sentence: PostgreSQL cannot be reached, or has no such tables.
pub async fn run(servers: &Servers, process: &Process) -> anyhow::Result<Repair> {
    process.readiness().waiting(SERVICE, "reaching PostgreSQL");
    let pool = kit::postgres::connect(servers, SERVICE).await?;
    let outbox = Outbox::default();
    bus::relay::outbox::spawn(process, relay(servers, &pool, &outbox)?).await?;
    let books = Books { pool: pool.clone(), outbox: outbox.clone(), tell: kafka::event };
    let lanes = Lanes::start(process, &books);
    sweep::spawn(process, &books);
    for consumer in consumers(&outbox) {
        bus::consumer::spawn(process, servers, pool.clone(), consumer).context("Kafka consumer")?;
    }
    let last_pool = pool.clone();
    process.spawn(Stage::Store, "point pool", |told| async move {
        told.cancelled().await;
        last_pool.close().await;
        Ok(())
    });
    process.serve(grpc::server(pool.clone(), lanes));
    process.readiness().ready(SERVICE);
    Ok(consumers(&outbox).into_iter().fold(Repair::new(SERVICE, pool), Repair::with))
}

fn relay(servers: &Servers, pool: &Pool, outbox: &Outbox) -> anyhow::Result<Relay> {
    Ok(Relay {
        service: SERVICE,
        servers: servers.clone(),
        pool: pool.clone(),
        connection: kit::postgres::options(servers, SERVICE)?,
        outbox: outbox.clone(),
        delivery_timeout: None,
    })
}
