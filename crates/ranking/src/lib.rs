#![doc = include_str!("../README.md")]

pub mod zone;
pub mod board;
pub mod sale;

pub mod kafka;
pub mod grpc;

pub mod watch;
pub mod find;
pub mod audit;
pub mod push;
pub mod all_time;
pub mod rebuild;
pub mod record;

pub mod redis;
pub mod postgres;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::repair::Repair;
use jiff::tz::TimeZone;
use kit::boot::{Process, Stage};
use kit::config::Servers;
use kit::error::Invalid;
use kit::redis::{Library, Listener, Redis};

use crate::all_time::{AllTime, Spans};
use crate::push::Bell;
use crate::rebuild::Rebuilds;
use crate::redis::Boards;
use crate::zone::{VenueZone, Zones};

/// The service's name: its role and schema in PostgreSQL, its keys, its consumer group.
pub const SERVICE: &str = "ranking";
/// Every library of functions that this service calls.
pub const LIBRARIES: &[Library] = &[redis::LIBRARY];
/// Whose events it counts.
const COUNTED: &str = "order";
/// Connections to each Redis primary: one board is always on the same.
const LANES: usize = 2;

/// How sales are counted.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Ranking")]
#[group(id = "ranking")]
pub struct Config {
    /// Where midnight begins a new day of the boards, by its IANA name
    #[arg(id = "ranking_time_zone", long = "ranking-time-zone", env = "BOOSTER_RANKING_TIME_ZONE")]
    #[arg(default_value = zone::DEFAULT, value_name = "ZONE", value_parser = zone::parse)]
    pub time_zone: TimeZone,

    /// The same for the sales of one venue; more of them by repeating it, or separated by commas
    #[arg(id = "ranking_venue_time_zone", long = "ranking-venue-time-zone", env = "BOOSTER_RANKING_VENUE_TIME_ZONE")]
    #[arg(value_delimiter = ',', value_name = "VENUE=ZONE", value_parser = zone::parse_venue)]
    pub venue_time_zones: Vec<VenueZone>,
}

impl Config {
    /// Whether this can be worked with.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), Invalid> {
        let venues = self.venue_time_zones.iter().map(|venue| &venue.venue_id);
        let mut venues: Vec<_> = venues.collect();
        venues.sort();
        match venues.windows(2).find(|two| two[0] == two[1]) {
            Some(twice) => Err(Invalid::new("--ranking-venue-time-zone", format!("names {} twice", twice[0]))),
            None => Ok(()),
        }
    }

    fn zones(&self) -> Zones {
        Zones::new(self.time_zone.clone(), self.venue_time_zones.iter().cloned())
    }
}

/// What this service consumes, and what that does: [`run`] starts it, and `booster replay` takes a span of a topic through it again.
#[must_use]
pub fn consumers(config: &Config) -> Vec<Consumer> {
    vec![consumer(config, &Bell::default())]
}

/// Reaches its stores, starts its tasks and adds its service to the process. Ready when it returns. Answers what operators can do with
/// its dead letters.
///
/// # Errors
/// One sentence: a flag cannot be worked with, or a store cannot be reached.
pub async fn run(config: &Config, servers: &Servers, process: &Process) -> anyhow::Result<Repair> {
    config.check()?;
    process.readiness().waiting(SERVICE, "reaching PostgreSQL");
    let pool = kit::postgres::connect(servers, SERVICE).await?;
    process.readiness().waiting(SERVICE, "reaching the Redis Cluster");
    let redis = Redis::connect(servers, LANES, LIBRARIES).await?;
    let listener = Listener::connect(servers).await?;

    let boards = Boards::new(redis.clone(), servers);
    let rebuilds = Rebuilds::new(&pool, &boards);
    let all_time = AllTime::start(process, &pool, &boards, &listener, Spans::default());
    let finder = find::Finder { boards: boards.clone(), rebuilds: rebuilds.clone(), all_time: all_time.clone() };
    let watches = watch::Watches::start(process, &finder);
    let bell = Bell::default();
    push::spawn(process, &pool, &boards, &rebuilds, &all_time, &bell);
    let consumer = consumer(config, &bell);
    bus::consumer::spawn(process, servers, pool.clone(), consumer.clone()).context("Kafka consumer")?;
    let last_pool = pool.clone();
    process.spawn(Stage::Store, "stores", |told| async move {
        told.cancelled().await;
        listener.close().await;
        redis.close().await;
        last_pool.close().await;
        Ok(())
    });

    process.serve(grpc::server(grpc::Ranking { zone: config.time_zone.clone(), finder, watches, rebuilds }));
    process.readiness().ready(SERVICE);
    Ok(Repair::new(SERVICE, pool).with(consumer))
}

fn consumer(config: &Config, bell: &Bell) -> Consumer {
    let records = kafka::Records::new(config.zones(), bell.clone());
    Consumer::new(SERVICE, SERVICE, vec![bus::topic::name(COUNTED)], records)
}
