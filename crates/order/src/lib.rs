#![doc = include_str!("../README.md")]

pub mod item;
pub mod discount;
pub mod order;
pub mod saga;
pub mod cursor;

pub mod kafka;
pub mod grpc;

pub mod place;
pub mod stock;
pub mod cancel;
pub mod advance;
pub mod find;
pub mod watch;
pub mod push;
pub mod proceed;
pub mod audit;

pub mod postgres;

use std::time::Duration;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use bus::repair::Repair;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::error::Invalid;
use kit::postgres::Pool;

use crate::proceed::Orders;
use crate::saga::Patience;

/// The service's name: its role and schema in PostgreSQL, its topic, its consumer group.
pub const SERVICE: &str = "order";

/// The flags of this service.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "order")]
pub struct Config {
    /// How long a participant may take to a step of an order before the step is given up and the order is undone
    #[arg(
        long = "order-step-deadline",
        env = "BOOSTER_ORDER_STEP_DEADLINE",
        default_value = "2m",
        value_name = "TIME"
    )]
    #[arg(value_parser = humantime::parse_duration)]
    pub step_deadline: Duration,

    /// After how long a silent participant is asked again; twice as long each time after that
    #[arg(long = "order-ask-again", env = "BOOSTER_ORDER_ASK_AGAIN", default_value = "30s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub ask_again: Duration,

    /// Take orders that book tables: something has to answer for their holds
    #[arg(long = "order-holds", env = "BOOSTER_ORDER_HOLDS")]
    pub holds: bool,
}

impl Config {
    /// Whether this can be worked with.
    ///
    /// # Errors
    /// Names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.ask_again.is_zero() {
            return Err(Invalid::new("--order-ask-again", "is 0: a participant has to be given some time"));
        }
        if self.step_deadline < self.ask_again {
            return Err(Invalid::new("--order-step-deadline", "is shorter than --order-ask-again"));
        }
        Ok(())
    }
}

/// What this service consumes, and what that does: [`run`] starts it, and `booster replay` takes a span of a topic through it again.
#[must_use]
pub fn consumers(config: &Config, outbox: &Outbox) -> Vec<Consumer> {
    vec![Consumer::new(SERVICE, SERVICE, kafka::topics(config.holds), kafka::Answers(orders(config, outbox)))]
}

/// Reaches its store, starts its tasks and adds its service to the process. Ready when it returns.
///
/// # Errors
/// One sentence: which server cannot be reached.
pub async fn run(config: &Config, servers: &Servers, process: &Process) -> anyhow::Result<Repair> {
    process.readiness().waiting(SERVICE, "reaching PostgreSQL");
    let pool = kit::postgres::connect(servers, SERVICE).await?;
    let outbox = Outbox::default();
    bus::relay::outbox::spawn(process, relay(servers, &pool, &outbox)?).await?;
    let consumers = consumers(config, &outbox);
    for consumer in consumers.clone() {
        bus::consumer::spawn(process, servers, pool.clone(), consumer).context("Kafka consumer")?;
    }
    let orders = orders(config, &outbox);
    push::spawn(process, &pool, &orders);
    let places = place::Places::start(process, &pool, &orders, config.holds);
    let watches = watch::Watches::start(process, &pool);
    let last_pool = pool.clone();
    process.spawn(Stage::Store, "stores", |told| async move {
        told.cancelled().await;
        last_pool.close().await;
        Ok(())
    });
    process.serve(grpc::server(grpc::Door { pool: pool.clone(), orders, places, watches }));
    process.readiness().ready(SERVICE);
    Ok(consumers.into_iter().fold(Repair::new(SERVICE, pool), Repair::with))
}

fn orders(config: &Config, outbox: &Outbox) -> Orders {
    let patience = Patience { deadline: config.step_deadline, again: config.ask_again };
    Orders { outbox: outbox.clone(), patience, tell: kafka::tell }
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
