//! PostgreSQL: one pool per service under the service's own role, one transaction type, and migrations.

mod migrate;
mod version;
mod open;

pub use migrate::{Schema, migrate};
pub use version::check;

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::{Secret, Servers};
use crate::error::{Error, Invalid};

/// A pool of connections under one service's role.
pub type Pool = sqlx::PgPool;
/// A transaction; rolled back when dropped.
pub type Tx = sqlx::Transaction<'static, sqlx::Postgres>;

/// Begins a transaction.
///
/// # Errors
/// [`Failure`]: no connection is to be had.
pub async fn begin(pool: &Pool) -> Result<Tx, Failure> {
    Ok(pool.begin().await?)
}

/// Commits a transaction.
///
/// # Errors
/// [`Failure`]: where the connection broke, nobody knows whether it was committed.
pub async fn commit(tx: Tx) -> Result<(), Failure> {
    Ok(tx.commit().await?)
}

/// How long a request waits for a connection before it is refused, if its deadline lets it: as long as one may take to be opened. Whoever gave
/// up earlier would take an opening that is almost done with him, and a busy machine would open connections without end.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What is wrong with a URL that cannot be read.
const NOT_A_URL: &str = "is not a URL of PostgreSQL, as in postgres://role:password@host:5432/database";

/// Opens the pool of `service`: its role, its schema on the search path, every statement bounded in time.
///
/// # Errors
/// One sentence that says which server cannot be reached, or what it refused.
pub async fn connect(servers: &Servers, service: &str) -> anyhow::Result<Pool> {
    let options = options(servers, service)?.options([
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    let place = open::place(&options);
    // A pool says of every failure only that time was up: what is wrong is learned from one connection.
    let mut connection = open::open(&options, "--postgres-url").await?;
    let prepared: bool = sqlx::query_scalar("SELECT to_regclass(quote_ident($1) || '.migrations') IS NOT NULL")
        .bind(service)
        .fetch_one(&mut connection)
        .await
        .with_context(|| format!("cannot ask PostgreSQL at {place}"))?;
    ensure!(prepared, version::unprepared(&place, service));
    connection.close().await.with_context(|| format!("cannot ask PostgreSQL at {place}"))?;
    // It answered a moment ago. The pool opens its connections when they are needed: on a host that is busy, as when all of its processes
    // start at once, one more may take longer than a request waits, and that is no reason not to start.
    let pool = PgPoolOptions::new().max_connections(servers.postgres_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

/// How to connect as `service`: for connections that must not come from the pool.
///
/// # Errors
/// The URL cannot be read.
pub fn options(servers: &Servers, service: &str) -> anyhow::Result<PgConnectOptions> {
    let options = parse(&servers.postgres_url_for(service), "--postgres-url")?;
    Ok(options.application_name(&format!("booster-{service}")))
}

/// Why it cannot be read is told by its kind alone: the text may hold a password.
fn parse(url: &Secret, flag: &'static str) -> Result<PgConnectOptions, Invalid> {
    PgConnectOptions::from_str(url.expose()).map_err(|_| Invalid::new(flag, NOT_A_URL))
}

/// What PostgreSQL said instead of doing it.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL refused")]
pub struct Failure(#[from] sqlx::Error);

impl Failure {
    /// Whether PostgreSQL, or the way to it, is away or busy: the same statement may well succeed a moment later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        let on_the_way = matches!(self.0, Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed);
        on_the_way || self.has_no_partition() || self.code().is_some_and(|code| is_away_code(&code))
    }

    /// Whether the table has no partition for a row, as after a jump of the clock: one is made soon. PostgreSQL says the same as of
    /// a row that breaks a constraint, but names none.
    fn has_no_partition(&self) -> bool {
        let refused = self.0.as_database_error();
        refused.is_some_and(|error| error.code().is_some_and(|code| code == "23514") && error.constraint().is_none())
    }

    /// Whether PostgreSQL refused the rows themselves: the same rows would be refused again.
    #[must_use]
    pub fn is_bad_row(&self) -> bool {
        // Classes 22 (data exception), 23 (integrity constraint violation) and 54 (too large for an index or a row).
        let refused = self.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)));
        (refused && !self.has_no_partition()) || matches!(self.0, sqlx::Error::Encode(_))
    }

    fn code(&self) -> Option<String> {
        let refused = self.0.as_database_error()?;
        refused.code().map(std::borrow::Cow::into_owned)
    }
}

/// Connection exceptions (08), lack of resources (53), operator intervention (57), system errors (58), serialization
/// failures and deadlocks (40), lock time-outs (55P03), idle time-outs (25P03).
fn is_away_code(code: &str) -> bool {
    ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25P03"
}

impl<R> From<Failure> for Error<R> {
    fn from(failure: Failure) -> Self {
        if failure.is_away() { Self::unavailable(failure) } else { Self::internal(failure) }
    }
}
