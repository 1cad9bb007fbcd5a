#![doc = include_str!("../README.md")]

pub mod payment;

pub mod kafka;
pub mod grpc;

pub mod request;
pub mod settle;
pub mod find;
pub mod count;
pub mod audit;

pub mod http;
pub mod postgres;

pub mod provider;

use std::time::Duration;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use bus::repair::Repair;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::error::Invalid;

use crate::http::Till;
use crate::settle::{Bell, Settler};

/// The service's name: its role and schema in PostgreSQL, its topic, its consumer group.
pub const SERVICE: &str = "payment";
/// The service whose requests it takes.
const ORDER: &str = "order";

/// What payment is told.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Payment")]
#[group(id = "payment")]
pub struct Config {
    /// Where the payment provider is
    #[arg(long, env = "BOOSTER_PAYMENT_PROVIDER_URL", default_value = "http://127.0.0.1:8090", value_name = "URL")]
    pub payment_provider_url: String,

    /// How long one call to the provider may take; what came of it is unknown then
    #[arg(long, env = "BOOSTER_PAYMENT_TIMEOUT", default_value = "4s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub payment_timeout: Duration,

    /// How long connecting to the provider may take
    #[arg(long, env = "BOOSTER_PAYMENT_CONNECT_TIMEOUT", default_value = "1s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub payment_connect_timeout: Duration,

    /// Calls to the provider that may be on their way at once
    #[arg(long, env = "BOOSTER_PAYMENT_IN_FLIGHT", default_value_t = 256, value_name = "NUMBER")]
    pub payment_in_flight: usize,

    /// Calls to the provider in a second, at most; after an outage fewer
    #[arg(long, env = "BOOSTER_PAYMENT_RATE", default_value_t = 5_000, value_name = "NUMBER")]
    pub payment_rate: u32,

    /// The longest pause between two calls about the same payment that bring no answer, jitter aside
    #[arg(long, env = "BOOSTER_PAYMENT_PAUSE_MOST", default_value = "10s", value_name = "TIME")]
    #[arg(value_parser = humantime::parse_duration)]
    pub payment_pause_most: Duration,
}

impl Config {
    /// Whether this can be worked with.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        let positive = |flag, is_positive: bool| if is_positive { Ok(()) } else { Err(Invalid::new(flag, "is 0")) };
        positive("--payment-timeout", !self.payment_timeout.is_zero())?;
        positive("--payment-connect-timeout", !self.payment_connect_timeout.is_zero())?;
        positive("--payment-in-flight", self.payment_in_flight > 0)?;
        positive("--payment-rate", self.payment_rate > 0)
    }
}

/// What this service consumes, and what that does, for whoever takes a span of a topic through it again: what is due then is settled by
/// the processes of the service.
#[must_use]
pub fn consumers(outbox: &Outbox) -> Vec<Consumer> {
    consumers_that_ring(outbox, &Bell::default())
}

fn consumers_that_ring(outbox: &Outbox, bell: &Bell) -> Vec<Consumer> {
    let requests = kafka::Requests { outbox: outbox.clone(), bell: bell.clone() };
    vec![Consumer::new(SERVICE, SERVICE, vec![bus::topic::name(ORDER)], requests)]
}

/// Reaches its stores, starts its tasks and adds its service to the process. Ready when it returns. Its dead letters are the caller's to
/// serve. The provider need not be there yet.
///
/// # Errors
/// One sentence: a flag is wrong, or which store cannot be reached.
pub async fn run(config: &Config, servers: &Servers, process: &Process) -> anyhow::Result<Repair> {
    config.check()?;
    let till = Till::new(config)?;
    process.readiness().waiting(SERVICE, "reaching PostgreSQL");
    let pool = kit::postgres::connect(servers, SERVICE).await?;

    let (outbox, bell) = (Outbox::default(), Bell::default());
    let relay = Relay {
        service: SERVICE,
        servers: servers.clone(),
        pool: pool.clone(),
        connection: kit::postgres::options(servers, SERVICE)?,
        outbox: outbox.clone(),
        delivery_timeout: None,
    };
    bus::relay::outbox::spawn(process, relay).await?;
    for consumer in consumers_that_ring(&outbox, &bell) {
        bus::consumer::spawn(process, servers, pool.clone(), consumer).context("Kafka consumer")?;
    }
    let settler = Settler {
        pool: pool.clone(),
        outbox: outbox.clone(),
        till,
        bell: bell.clone(),
        events: kafka::events_of,
        config: config.clone(),
    };
    settle::spawn(process, settler);
    count::spawn(process, &pool);
    let last_pool = pool.clone();
    process.spawn(Stage::Store, "stores", |told| async move {
        told.cancelled().await;
        last_pool.close().await;
        Ok(())
    });

    process.serve(grpc::server(grpc::Payments { pool: pool.clone() }));
    process.readiness().ready(SERVICE);
    Ok(consumers_that_ring(&outbox, &bell).into_iter().fold(Repair::new(SERVICE, pool), Repair::with))
}
