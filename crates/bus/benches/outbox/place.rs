//! An outbox in a database of its own, its topic, and the process that relays it.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use bus::outbox::Outbox;
use bus::relay::outbox::Relay;
use clap::Parser as _;
use hdrhistogram::Histogram;
use kit::boot::Process;
use kit::config::{ProcessArgs, Secret, Servers};
use kit::postgres::Pool;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};
use tokio::task::JoinSet;
use trial::bench::{Caller, Enough, closed};
use trial::ground::Ground;

/// The service whose role and schema are borrowed: its schema has the tables of the bus.
pub const SERVICE: &str = "promotion";
/// How many write at once; and connections, so that nobody waits for one.
pub const WRITERS: usize = 16;
const CONNECTIONS: u32 = 24;
/// Rows that one statement prepares, and how many such statements run at once.
const CHUNK: u64 = 250_000;
const CHUNKS_AT_ONCE: usize = 2;
/// How long an outbox may take until all of it is sent, and how often it is asked whether it is.
const SENT_MOST: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An outbox with so many rows that were sent long ago.
pub struct Place {
    pub old: u64,
    pub pool: Pool,
    ground: Ground,
    servers: Servers,
    /// Without the time-outs of a service.
    admin: PgPool,
}

/// What a process needs that nobody asks anything.
#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// A process that relays.
pub struct Relaying {
    pub outbox: Outbox,
    process: Process,
    running: JoinSet<ExitCode>,
}

impl Place {
    /// Makes one, with the rows that were sent long ago: as many as there are is told now and then.
    pub async fn new(old: u64, say: impl Fn(&str)) -> anyhow::Result<Self> {
        let ground = Ground::new("bench-outbox").await;
        let servers = Servers { postgres_connections: CONNECTIONS, ..ground.servers() };
        bus::topic::make(&servers, SERVICE).await?;
        let pool = kit::postgres::connect(&servers, SERVICE).await?;
        // Whoever looks for a row that was not sent must not read all those that were. Nobody is told which statements are slow.
        let admin = PgConnectOptions::from_str(ground.admin_url().expose()).context("the admin's URL")?;
        let admin = admin.options([("enable_seqscan", "off"), ("jit", "off")]).disable_statement_logging();
        let admin = PgPool::connect_with(admin).await.context("PostgreSQL")?;
        let place = Self { old, pool, ground, servers, admin };
        // It makes the partitions.
        place.relay().await?.end().await?;
        place.age(say).await?;
        Ok(place)
    }

    pub async fn end(self) {
        self.pool.close().await;
        self.admin.close().await;
        self.ground.end().await;
    }

    /// Starts a process that relays this outbox.
    pub async fn relay(&self) -> anyhow::Result<Relaying> {
        let any = "127.0.0.1:0";
        let addresses = ["--grpc-addr", any, "--admin-addr", any];
        let flags =
            Flags::parse_from(["bench"].into_iter().chain(addresses).chain(["--log-filter", "warn,sqlx=error"]));
        let process = Process::start(&flags.process, &[]).await?;
        let mut running = JoinSet::new();
        running.spawn(process.clone().run_to_end());
        let outbox = Outbox::default();
        let relay = Relay {
            service: SERVICE,
            servers: self.servers.clone(),
            pool: self.pool.clone(),
            connection: kit::postgres::options(&self.servers, SERVICE)?,
            outbox: outbox.clone(),
            delivery_timeout: None,
        };
        bus::relay::outbox::spawn(&process, relay).await?;
        Ok(Relaying { outbox, process, running })
    }

    /// Writes rows that wait for a relay, in one statement.
    pub async fn prepare(&self, rows: u64) -> anyhow::Result<()> {
        if self.old == 0 {
            // None is old here, not even of the turn before.
            sqlx::raw_sql("TRUNCATE promotion.outbox").execute(&self.admin).await?;
        }
        let statement = "INSERT INTO promotion.outbox (ce_id, kind, subject, sequence, partition_key, payload)
             SELECT gen_random_uuid(), 'booster.bench.v1.Told', 'subject-' || n % 10000, n, 'subject-' || n % 10000,
               decode(repeat('ab', 100), 'hex')
             FROM generate_series(1, $1) AS n";
        sqlx::query(statement).bind(rows.cast_signed()).execute(&self.admin).await?;
        Ok(())
    }

    /// Waits until every row is sent.
    pub async fn all_sent(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let statement = "SELECT EXISTS (SELECT FROM generate_series(0, 15) AS own (slot) CROSS JOIN LATERAL (
               SELECT FROM promotion.outbox WHERE outbox.slot = own.slot AND sent_at IS NULL LIMIT 1) AS row)";
        while sqlx::query_scalar::<_, bool>(statement).fetch_one(&self.admin).await? {
            ensure!(begun.elapsed() < SENT_MOST, "not all of the outbox was sent within {SENT_MOST:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The last id that was given.
    pub async fn last_id(&self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("SELECT last_value FROM promotion.outbox_id").fetch_one(&self.admin).await?)
    }

    /// How long each row that has come after this id took from its insert to its mark, in microseconds.
    pub async fn waits(&self, after: i64) -> anyhow::Result<Histogram<u64>> {
        let statement = "SELECT (extract(epoch FROM sent_at - happened_at) * 1000000)::bigint
             FROM promotion.outbox WHERE id > $1";
        let all: Vec<Option<i64>> = sqlx::query_scalar(statement).bind(after).fetch_all(&self.admin).await?;
        let mut waits = Histogram::new_with_max(60_000_000, 3)?;
        for wait in all {
            waits.saturating_record(wait.context("a row was not sent")?.unsigned_abs());
        }
        Ok(waits)
    }

    /// The URL of its database.
    pub fn url(&self) -> Secret {
        self.ground.admin_url()
    }

    /// A table for plain inserts: the columns of the outbox, without partitions, indexes or checks.
    pub async fn make_plain(&self) -> anyhow::Result<()> {
        let statement = "CREATE TABLE promotion.plain (LIKE promotion.outbox INCLUDING DEFAULTS INCLUDING GENERATED)";
        sqlx::raw_sql(statement).execute(&self.admin).await?;
        Ok(())
    }

    /// Writes the old rows into the partition that is written to now; half of them into the one of ten minutes from now, which
    /// is another where the hour ends meanwhile. Then what autovacuum does to such a partition.
    async fn age(&self, say: impl Fn(&str)) -> anyhow::Result<()> {
        let mut written = 0;
        while written < self.old {
            let more = (CHUNK * CHUNKS_AT_ONCE as u64).min(self.old - written);
            let each = i64::try_from(more / CHUNKS_AT_ONCE as u64)?;
            let agers = vec![Ager { admin: self.admin.clone(), rows: each }; CHUNKS_AT_ONCE];
            closed(agers, Enough::Calls(CHUNKS_AT_ONCE as u64)).await?;
            written += more;
            say(&format!("{written} of {} old rows", self.old));
        }
        if self.old > 0 {
            sqlx::raw_sql("VACUUM (ANALYZE) promotion.outbox").execute(&self.admin).await?;
        }
        Ok(())
    }
}

impl Relaying {
    /// Drains it.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.process.stop();
        let code = self.running.join_next().await.context("the process was not running")??;
        ensure!(code == ExitCode::SUCCESS, "the process that relays has failed");
        Ok(())
    }
}

/// Writes rows that were sent.
#[derive(Clone)]
struct Ager {
    admin: PgPool,
    rows: i64,
}

impl Caller for Ager {
    async fn call(&mut self) -> anyhow::Result<()> {
        let statement = "INSERT INTO promotion.outbox
               (ce_id, kind, subject, sequence, partition_key, payload, happened_at, sent_at)
             SELECT gen_random_uuid(), 'booster.bench.v1.Told', 'subject-' || n % 10000, n, 'subject-' || n % 10000,
               decode(repeat('ab', 100), 'hex'),
               date_trunc('hour', clock_timestamp() + n % 2 * interval '10 min', 'UTC') + n % 3600 * interval '1 s',
               clock_timestamp()
             FROM generate_series(1, $1) AS n";
        sqlx::query(statement).bind(self.rows).execute(&self.admin).await?;
        Ok(())
    }
}

/// Tells of a change: begins it, and commits it with one event.
#[derive(Clone)]
pub struct Writer {
    pub pool: Pool,
    pub outbox: Outbox,
    pub number: i64,
}

impl Caller for Writer {
    async fn call(&mut self) -> anyhow::Result<()> {
        let change = self.outbox.begin::<()>(&self.pool).await.map_err(|no| anyhow!("nothing can be begun: {no:?}"))?;
        let subject = format!("subject-{}", self.number);
        let event = bus::event::NewEvent {
            kind: "booster.bench.v1.Told".to_owned(),
            sequence: kit::clock::to_millis(kit::clock::now()),
            partition_key: subject.clone(),
            subject,
            payload: vec![0xab; 100].into(),
        };
        Ok(change.commit(&[event]).await?)
    }
}
