//! The inbox: tells what is here for the first time.

use std::collections::HashSet;

use kit::postgres::{Failure, Pool, Tx};
use time::{Duration, OffsetDateTime};

use super::partitions::Partitioned;

/// The partitions: by when an event happened, a day each.
const DAYS: Partitioned = Partitioned { table: "inbox", length: Duration::DAY, storage: "" };
/// How far ahead partitions are made.
const AHEAD: Duration = Duration::days(3);
/// How far back a new inbox begins: events may be a week old when a consumer starts late.
const BACK: Duration = Duration::days(8);
/// How long a partition is kept: longer than Kafka keeps a topic, which is seven days and a segment.
const KEPT: Duration = Duration::days(10);

/// From when on, and until when, an event can have happened that the inbox has room for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// The first instant.
    pub from: OffsetDateTime,
    /// The one after the last.
    pub to: OffsetDateTime,
}

impl Reach {
    /// Whether the inbox has room for what happened then.
    pub(crate) fn holds(self, time: OffsetDateTime) -> bool {
        self.from <= time && time < self.to
    }
}

/// Notes the events; returns the ids of those that are here for the first time.
pub(crate) async fn note(
    tx: &mut Tx,
    consumer: &str,
    ids: &[String],
    times: &[OffsetDateTime],
) -> Result<HashSet<String>, Failure> {
    let first = sqlx::query_scalar!(
        "INSERT INTO inbox (consumer, ce_id, ce_time)
         SELECT $1, ce_id, ce_time FROM UNNEST($2::text[], $3::timestamptz[]) AS t (ce_id, ce_time)
         ORDER BY ce_id
         ON CONFLICT DO NOTHING RETURNING ce_id",
        consumer,
        ids,
        times,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(first.into_iter().collect())
}

/// Which of the events have been noted before.
pub(crate) async fn seen(
    tx: &mut Tx,
    consumer: &str,
    ids: &[String],
    times: &[OffsetDateTime],
) -> Result<HashSet<String>, Failure> {
    let seen = sqlx::query_scalar!(
        "SELECT ce_id FROM inbox
         JOIN UNNEST($2::text[], $3::timestamptz[]) AS asked (id, at) ON ce_id = id AND ce_time = at
         WHERE consumer = $1",
        consumer,
        ids,
        times,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(seen.into_iter().collect())
}

/// Makes the partitions from [`BACK`] (only where the inbox is new) to [`AHEAD`]. Returns what the inbox reaches then. It goes by the
/// clock of PostgreSQL, which all share. A day that has gone is not made anew: what has taken effect then is not known any more.
pub(crate) async fn make_partitions(pool: &Pool) -> Result<Reach, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    DAYS.lock(&mut tx).await?;
    let (days, now) = (DAYS.begins(&mut tx).await?, now(&mut tx).await?);
    let first = days.last().map_or(now - BACK, |last| (*last + DAYS.length).min(now));
    DAYS.make(&mut tx, first, now + AHEAD).await?;
    let reach = reach(&mut tx).await?;
    kit::postgres::commit(tx).await?;
    Ok(reach)
}

/// Drops the partitions that are older than [`KEPT`] was when the oldest parked event was parked: whoever replays it has to know
/// whether it has taken effect.
pub(crate) async fn drop_partitions(pool: &Pool) -> Result<(), Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    DAYS.lock(&mut tx).await?;
    let (days, now) = (DAYS.begins(&mut tx).await?, now(&mut tx).await?);
    let oldest = DAYS.floor(parked_since(&mut tx).await?.unwrap_or(now).min(now) - KEPT);
    for day in days.into_iter().filter(|day| *day < oldest) {
        DAYS.drop(&mut tx, day).await?;
    }
    kit::postgres::commit(tx).await
}

async fn now(tx: &mut Tx) -> Result<OffsetDateTime, Failure> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut **tx).await?)
}

/// What the inbox reaches now.
async fn reach(tx: &mut Tx) -> Result<Reach, Failure> {
    let days = DAYS.begins(tx).await?;
    let from = days.first().copied().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Reach { from, to: days.last().map_or(from, |last| *last + DAYS.length) })
}

/// What the inbox reaches until the transaction ends: no partition goes meanwhile.
pub(crate) async fn hold_reach(tx: &mut Tx) -> Result<Reach, Failure> {
    sqlx::raw_sql("LOCK TABLE inbox IN ROW EXCLUSIVE MODE").execute(&mut **tx).await?;
    reach(tx).await
}

/// When the oldest event that is still parked was parked.
async fn parked_since(tx: &mut Tx) -> Result<Option<OffsetDateTime>, Failure> {
    Ok(sqlx::query_scalar!("SELECT min(parked_at) FROM parked").fetch_one(&mut **tx).await?)
}
