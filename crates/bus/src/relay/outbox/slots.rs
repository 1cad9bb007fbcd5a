//! The hash partitions that this process owns. Each is an advisory lock of one session, which PostgreSQL ends when it falls silent.
//! Whoever relays holds the lock of the members too, together with the others: so each knows how many there are, and takes his
//! share and no more.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::Instant;

use super::floor::Floor;
use crate::lease::{BEAT, COPYING, Duty, open, timely};
use crate::postgres::lease;
use crate::postgres::outbox::{self, RowId, Unsent};

/// Rows of one hash partition that are read at once, and bytes of their payloads after which no more are: with 16 partitions and the
/// largest payloads it is 5 MiB, which also a slow way brings within the time that an answer may take.
const ROWS: i64 = 128;
const BYTES: i64 = 256 * 1024;
/// How long a look may take: one from the beginning may have to pass much that was sent. PostgreSQL works on it meanwhile, and the
/// session is not silent.
const LOOK_MOST: Duration = Duration::from_secs(31);
/// The lock that all who relay hold together.
const MEMBERS: &str = "outbox members";

/// The session, and what it owns.
pub(super) struct Slots {
    connection: PgConnection,
    service: &'static str,
    /// How many hash partitions there are.
    number: i16,
    own: Vec<i16>,
    /// When it was last seen whose turn it is.
    shared: Option<Instant>,
    floor: Floor,
    copying: Duty,
}

impl Slots {
    pub(super) async fn open(options: &PgConnectOptions, service: &'static str) -> anyhow::Result<Self> {
        let named = options.clone().application_name(&format!("booster-{service} outbox"));
        let mut connection = open(&named.options(outbox::PROBES)).await?;
        let number = timely(async {
            outbox::allow_long_looks(&mut connection).await?;
            lease::join(&mut connection, MEMBERS).await?;
            Ok(outbox::slots(&mut connection).await?)
        });
        let number = number.await.context("the hash partitions of the outbox")?;
        let (floor, copying) = (Floor::default(), Duty::new(COPYING));
        Ok(Self { connection, service, number, own: Vec::new(), shared: None, floor, copying })
    }

    /// Whether this session copies what is parked.
    pub(super) fn copies(&self) -> watch::Receiver<bool> {
        self.copying.held()
    }

    /// Takes what nobody owns, up to a fair share, and gives back what is more than that. Nothing of it is in flight now.
    pub(super) async fn share(&mut self) -> anyhow::Result<()> {
        if self.shared.is_some_and(|shared| shared.elapsed() < BEAT) {
            return Ok(());
        }
        self.shared = Some(Instant::now());
        let owned = self.own.len();
        self.take_share().await.context("the hash partitions of the outbox are lost")?;
        self.copying.take(&mut self.connection).await.context("the session is lost")?;
        if owned != self.own.len() {
            tracing::info!(service = self.service, slots = ?self.own, "this process relays these parts of the outbox");
            metrics::gauge!("booster_outbox_slots", "service" => self.service).set(self.own.len() as f64);
        }
        Ok(())
    }

    /// Each answer has its own time: on a long way all of them together may take longer than the session may be silent.
    async fn take_share(&mut self) -> anyhow::Result<()> {
        let (connection, own) = (&mut self.connection, &mut self.own);
        let members = timely(async { Ok(lease::members(connection, MEMBERS).await?) }).await?.max(1);
        let fair = usize::try_from((i64::from(self.number) + members - 1) / members)?;
        while own.len() > fair {
            if let Some(slot) = own.pop() {
                timely(async { Ok(lease::give_back(connection, &name(slot)).await?) }).await?;
            }
        }
        let holder = super::super::holder();
        for slot in 0..self.number {
            if own.len() < fair
                && !own.contains(&slot)
                && timely(async { Ok(lease::take(connection, &name(slot), &holder).await?) }).await?.is_some()
            {
                own.push(slot);
                // What waits there may be older than what was settled elsewhere.
                self.floor.forget();
            }
        }
        timely(check(connection, own)).await?;
        let given = timely(async { Ok(outbox::given(connection).await?) }).await?;
        self.floor.given(Instant::now(), given);
        Ok(())
    }

    /// The first rows that were not sent.
    pub(super) async fn read(&mut self) -> anyhow::Result<Vec<Unsent>> {
        let begun = Instant::now();
        let from = self.floor.next(begun);
        let look = outbox::unsent(&mut self.connection, self.service, &self.own, from, (ROWS, BYTES));
        let look = tokio::time::timeout(LOOK_MOST, look).await.context("PostgreSQL did not answer in time");
        let rows = look.and_then(|rows| Ok(rows?)).context("the outbox cannot be read")?;
        self.floor.looked(from, begun, Instant::now(), rows.iter().map(|row| row.place.id).min());
        Ok(rows)
    }

    /// Kafka has these.
    pub(super) async fn mark(&mut self, rows: &[RowId]) -> anyhow::Result<()> {
        let marked = timely(async { Ok(outbox::mark(&mut self.connection, rows, ROWS).await?) });
        marked.await.context("what Kafka has acknowledged cannot be noted")
    }

    /// Shows PostgreSQL that the session lives.
    pub(super) async fn beat(&mut self) -> anyhow::Result<()> {
        timely(async { Ok(lease::beat(&mut self.connection).await?) }).await.context("the session is lost")
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        metrics::gauge!("booster_outbox_slots", "service" => self.service).set(0);
    }
}

/// Whoever stands between and gives each statement to another session has taken the locks away: nobody may go on without them.
async fn check(connection: &mut PgConnection, own: &[i16]) -> anyhow::Result<()> {
    let names: Vec<_> = own.iter().map(|slot| name(*slot)).chain([MEMBERS.to_owned()]).collect();
    let missing = lease::missing(connection, &names).await?;
    ensure!(
        missing.is_empty(),
        "the session does not hold its locks {missing:?}: a pooler between here and PostgreSQL gives statements to other sessions"
    );
    Ok(())
}

fn name(slot: i16) -> String {
    format!("outbox/{slot}")
}
