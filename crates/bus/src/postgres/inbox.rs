//! The inbox: tells what is here for the first time.

use std::collections::HashSet;

use kit::postgres::{Failure, Pool, Tx};
use sqlx::AssertSqlSafe;
use time::{Date, Duration, OffsetDateTime};

/// How many days ahead partitions are made.
const DAYS_AHEAD: i64 = 3;
/// How many days back a new inbox begins: events may be a week old when a consumer starts late.
const DAYS_BACK: i64 = 8;
/// How many days a partition is kept: longer than Kafka keeps a topic, which is seven days and a segment.
const DAYS_KEPT: i64 = 10;

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

/// Makes the partitions from [`DAYS_BACK`] (only where the inbox is new) to [`DAYS_AHEAD`], and drops those that are older
/// than [`DAYS_KEPT`] were when the oldest parked event was parked: whoever replays it has to know whether it has taken effect.
/// Two processes that do it at once wait for each other. Returns what the inbox reaches then.
pub(crate) async fn make_partitions(
    pool: &Pool,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('inbox'))")
        .execute(&mut *tx)
        .await?;
    let days = days(&mut tx).await?;
    let first = days.last().map_or((now - Duration::days(DAYS_BACK)).date(), |last| *last + Duration::DAY);
    let mut statements = Vec::new();
    let mut day = first;
    while day <= (now + Duration::days(DAYS_AHEAD)).date() {
        let (name, next) = (name_of(day), day + Duration::DAY);
        statements.push(format!(
            "CREATE TABLE {name} PARTITION OF inbox FOR VALUES FROM ('{day} 00:00+00') TO ('{next} 00:00+00')"
        ));
        day = next;
    }
    let oldest = (parked_since(&mut tx).await?.unwrap_or(now).min(now) - Duration::days(DAYS_KEPT)).date();
    statements.extend(days.iter().filter(|day| **day < oldest).map(|day| format!("DROP TABLE {}", name_of(*day))));
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    let days = self::days(&mut tx).await?;
    kit::postgres::commit(tx).await?;
    let begin = |day: Option<&Date>| day.map_or(OffsetDateTime::UNIX_EPOCH, |day| day.midnight().assume_utc());
    Ok((begin(days.first()), begin(days.last()) + Duration::DAY))
}

/// When the oldest event that is still parked was parked.
async fn parked_since(tx: &mut Tx) -> Result<Option<OffsetDateTime>, Failure> {
    Ok(sqlx::query_scalar!("SELECT min(parked_at) FROM parked").fetch_one(&mut **tx).await?)
}

/// The days that have a partition, in order.
async fn days(tx: &mut Tx) -> Result<Vec<Date>, Failure> {
    let names = sqlx::query_scalar!(
        r#"SELECT child.relname::text AS "name!" FROM pg_inherits
           JOIN pg_class child ON child.oid = inhrelid
           WHERE inhparent = 'inbox'::regclass ORDER BY child.relname"#
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(names.iter().filter_map(|name| day_of(name)).collect())
}

fn name_of(day: Date) -> String {
    format!("inbox_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day())
}

fn day_of(name: &str) -> Option<Date> {
    let digits = name.strip_prefix("inbox_")?;
    let year = digits.get(0..4)?.parse().ok()?;
    let month: u8 = digits.get(4..6)?.parse().ok()?;
    let day = digits.get(6..8)?.parse().ok()?;
    Date::from_calendar_date(year, time::Month::try_from(month).ok()?, day).ok()
}
