#![doc = include_str!("../README.md")]

pub mod deal;
pub mod coupon;
pub mod place;
pub mod step;

pub mod kafka;
pub mod grpc;

pub mod count;
pub mod schedule;
pub mod claim;
pub mod winners;
pub mod errand;
pub mod redeem;
pub mod find;
pub mod watch;
pub mod record;
pub mod audit;
pub mod archive;

pub mod redis;
pub mod postgres;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::journal::Keys;
use bus::relay::journal::{Bell, Relay};
use bus::repair::Repair;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::redis::{Library, Listener, Redis};

use crate::errand::Desk;
use crate::redis::Deals;
use crate::winners::Winners;

/// The service's name: its role and schema in PostgreSQL, its keys, its topic, its consumer group.
pub const SERVICE: &str = "promotion";
/// Every library of functions that this service calls.
pub const LIBRARIES: &[Library] = &[bus::redis::LIBRARY, redis::LIBRARY];

/// The consumer of what orders ask for: its name in the inbox, and its group.
pub const ORDERS: &str = "promotion.orders";
/// The service whose topic it reads.
const ORDER: &str = "order";

/// What this service consumes, and what that does: [`run`] starts it, and `booster replay` takes a span of a topic through it again.
#[must_use]
pub fn consumers(desk: &Desk) -> Vec<Consumer> {
    vec![
        Consumer::new(SERVICE, SERVICE, vec![bus::topic::name(SERVICE)], kafka::Records),
        Consumer::new(ORDERS, SERVICE, vec![bus::topic::name(ORDER)], kafka::Orders(desk.clone())),
    ]
}

/// Reaches its stores, starts its tasks and adds its service to the process. Ready when it returns. Answers what the executable serves
/// the operator with, for all its services together.
///
/// # Errors
/// One sentence: which store cannot be reached, or is set so that it would lose claims.
pub async fn run(servers: &Servers, process: &Process) -> anyhow::Result<Repair> {
    process.readiness().waiting(SERVICE, "reaching PostgreSQL");
    let pool = kit::postgres::connect(servers, SERVICE).await?;
    process.readiness().waiting(SERVICE, "reaching the Redis Cluster");
    let redis = Redis::connect(servers, claim::LANES, LIBRARIES).await?;

    let (bell, desk) = (Bell::default(), Desk::default());
    let deals = Deals::new(redis.clone(), servers);
    let winners = Winners::start(process, &deals);
    let claims = claim::Claims::start(process, &deals, &pool, &bell, &winners);
    let listener = Listener::connect(servers).await?;
    let watches = watch::Watches::start(process, &deals, &listener);
    schedule::spawn(process, &pool, &deals);
    archive::spawn(process, &pool, &deals);
    count::spawn(process, &pool, &deals, &winners);
    bus::relay::journal::spawn(process, relay(servers, redis.clone(), pool.clone(), bell.clone())?);
    bus::relay::outbox::spawn(process, answers(servers, pool.clone(), &desk)?).await.context("the outbox")?;
    errand::spawn(process, worker(&pool, &deals, &bell, &desk));
    for consumer in consumers(&desk) {
        bus::consumer::spawn(process, servers, pool.clone(), consumer).context("Kafka consumer")?;
    }
    let last_pool = pool.clone();
    process.spawn(Stage::Store, "stores", |told| async move {
        told.cancelled().await;
        listener.close().await;
        redis.close().await;
        last_pool.close().await;
        Ok(())
    });

    let repair = consumers(&desk).into_iter().fold(Repair::new(SERVICE, pool.clone()), Repair::with);
    process.serve(grpc::server(grpc::Promotion { pool, deals, claims, winners, watches, bell }));
    process.readiness().ready(SERVICE);
    Ok(repair)
}

fn relay(servers: &Servers, redis: Redis, pool: kit::postgres::Pool, bell: Bell) -> anyhow::Result<Relay> {
    Ok(Relay {
        service: SERVICE,
        consumer: SERVICE,
        servers: servers.clone(),
        redis,
        keys: Keys::new(servers, SERVICE),
        pool,
        lease: kit::postgres::options(servers, SERVICE)?,
        events: kafka::events,
        bell,
        delivery_timeout: None,
    })
}

fn answers(servers: &Servers, pool: kit::postgres::Pool, desk: &Desk) -> anyhow::Result<bus::relay::outbox::Relay> {
    Ok(bus::relay::outbox::Relay {
        service: SERVICE,
        servers: servers.clone(),
        pool,
        connection: kit::postgres::options(servers, SERVICE)?,
        outbox: desk.outbox.clone(),
        delivery_timeout: None,
    })
}

fn worker(pool: &kit::postgres::Pool, deals: &Deals, bell: &Bell, desk: &Desk) -> errand::Worker {
    let (pool, deals, bell, desk) = (pool.clone(), deals.clone(), bell.clone(), desk.clone());
    errand::Worker { pool, deals, bell, desk, encode: kafka::answered }
}
