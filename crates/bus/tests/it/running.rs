//! Processes of the counting service. Each lives in a runtime of its own, so that it can die without a word: its sockets are
//! closed, and nothing is released, flushed or committed.

use std::process::ExitCode;
use std::time::Duration;

use bus::consumer::Consumer;
use bus::event::{Event, Unreadable};
use bus::journal::Entry;
use bus::outbox::Outbox;
use bus::relay::journal::{Bell, Relay};
use bus::relay::outbox;
use kit::boot::Process;
use kit::config::{Drain, Listen, LogFormat, ProcessArgs, Servers, Telemetry};
use kit::redis::Redis;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::counting::{self, Counting, SERVICE};
use crate::place::Place;

/// Who consumes what is relayed.
const CONSUMER: &str = "count";
/// Lanes of each relay to Redis.
const LANES: usize = 2;

/// A process, running.
pub struct Running {
    /// Nothing once it has ended.
    runtime: Option<Runtime>,
    process: Process,
    ended: Option<JoinHandle<ExitCode>>,
}

/// In what a relay differs from that of every other test.
#[derive(Clone, Debug)]
pub struct Differently {
    /// What its entries tell.
    pub events: fn(&Entry) -> Result<Vec<Event>, Unreadable>,
    /// Where Kafka is.
    pub kafka_brokers: Option<String>,
    /// The port of PostgreSQL, for the connection of the lease alone.
    pub lease_port: Option<u16>,
    /// How long one delivery may take.
    pub delivery_timeout: Option<Duration>,
}

impl Default for Differently {
    fn default() -> Self {
        Self { events: counting::events, kafka_brokers: None, lease_port: None, delivery_timeout: None }
    }
}

impl Running {
    /// A process that does nothing yet.
    pub async fn start() -> Self {
        crate::log::keep();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let process = runtime.spawn(async { Process::start(&args(), &[]).await.unwrap() }).await.unwrap();
        let ended = Some(runtime.spawn(process.clone().run_to_end()));
        Self { runtime: Some(runtime), process, ended }
    }

    /// A process that relays.
    pub async fn relay(place: &Place) -> Self {
        let running = Self::start().await;
        running.add_relay(place, Differently::default()).await;
        running
    }

    /// A process that consumes.
    pub async fn consumer(place: &Place, name: &str) -> Self {
        let running = Self::start().await;
        running.add_consumer(place, Counting::new(name)).await;
        running
    }

    /// A process that relays and consumes.
    pub async fn whole(place: &Place, name: &str) -> Self {
        let running = Self::relay(place).await;
        running.add_consumer(place, Counting::new(name)).await;
        running
    }

    /// Lets it relay too.
    pub async fn add_relay(&self, place: &Place, differently: Differently) {
        let (process, mut servers, keys) = (self.process.clone(), place.servers.clone(), place.keys.clone());
        let Differently { events, kafka_brokers, lease_port, delivery_timeout } = differently;
        if let Some(brokers) = kafka_brokers {
            servers.kafka_brokers = brokers;
        }
        self.inside(async move {
            let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
            let redis = Redis::connect(&servers, LANES, &[bus::redis::LIBRARY]).await.unwrap();
            let lease = kit::postgres::options(&servers, SERVICE).unwrap();
            let lease = lease_port.into_iter().fold(lease, sqlx::postgres::PgConnectOptions::port);
            let bell = Bell::default();
            let relay = Relay {
                service: SERVICE,
                consumer: CONSUMER,
                servers,
                redis,
                keys,
                pool,
                lease,
                events,
                bell,
                delivery_timeout,
            };
            bus::relay::journal::spawn(&process, relay);
        })
        .await;
    }

    /// Lets it relay the outbox too.
    pub async fn add_outbox(&self, place: &Place, outbox: &Outbox, differently: Differently) {
        let (process, servers, outbox) = (self.process.clone(), place.servers.clone(), outbox.clone());
        self.inside(async move { relay_outbox(&process, servers, outbox, differently).await }).await;
    }

    /// Lets it consume too, under the name of the effects.
    pub async fn add_consumer(&self, place: &Place, effects: Counting) {
        self.add_consumer_on(place, effects, &place.servers.kafka_brokers).await;
    }

    /// The same, where Kafka is reached in another way.
    pub async fn add_consumer_on(&self, place: &Place, effects: Counting, kafka_brokers: &str) {
        let servers = Servers { kafka_brokers: kafka_brokers.to_owned(), ..place.servers.clone() };
        let process = self.process.clone();
        self.inside(async move { consume(&process, servers, effects).await }).await;
    }

    /// Lets it consume too, as somebody else declares it.
    pub async fn add(&self, place: &Place, consumer: Consumer) {
        let (process, servers) = (self.process.clone(), place.servers.clone());
        self.inside(async move {
            let pool = kit::postgres::connect(&servers, consumer.service()).await.unwrap();
            bus::consumer::spawn(&process, &servers, pool, consumer).unwrap();
        })
        .await;
    }

    /// Drains it, as SIGTERM does.
    pub async fn stop(mut self) {
        self.process.stop();
        let code = self.ended.take().unwrap().await.unwrap();
        assert_eq!(code, ExitCode::SUCCESS);
    }

    /// It dies where it stands.
    pub fn die(self) {
        drop(self);
    }

    /// Runs something in this process.
    async fn inside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.as_ref().unwrap().spawn(work).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets a process relay the outbox.
pub async fn relay_outbox(process: &Process, mut servers: Servers, outbox: Outbox, differently: Differently) {
    let Differently { kafka_brokers, lease_port, delivery_timeout, .. } = differently;
    if let Some(brokers) = kafka_brokers {
        servers.kafka_brokers = brokers;
    }
    let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
    let connection = kit::postgres::options(&servers, SERVICE).unwrap();
    let connection = lease_port.into_iter().fold(connection, sqlx::postgres::PgConnectOptions::port);
    let relay = outbox::Relay { service: SERVICE, servers, pool, connection, outbox, delivery_timeout };
    outbox::spawn(process, relay).await.unwrap();
}

/// Lets a process consume, under the name of the effects.
pub async fn consume(process: &Process, servers: Servers, effects: Counting) {
    let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
    bus::consumer::spawn(process, &servers, pool, counting::consumer(effects)).unwrap();
}

fn args() -> ProcessArgs {
    let any = "127.0.0.1:0".parse().unwrap();
    ProcessArgs {
        listen: Listen { grpc_addr: any, admin_addr: any, insecure: false },
        telemetry: Telemetry {
            log_format: LogFormat::Pretty,
            log_filter: "off".to_owned(),
            otlp_endpoint: None,
            trace_ratio: 0.0,
            service_name: "bus".to_owned(),
        },
        drain: Drain { grace: Duration::from_secs(20), linger: Duration::ZERO },
    }
}
