//! The outbox: rows that tell of a change, and whether Kafka has them.

use std::collections::BTreeSet;

use kit::postgres::{Failure, Pool, Tx};
use sqlx::{Connection as _, PgConnection};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::partitions::Partitioned;
use crate::event::{Event, NewEvent};

/// The partitions: by when a row was written, an hour each.
const HOURS: Partitioned = Partitioned { table: "outbox", length: Duration::HOUR, storage: VACUUMED };
/// A row that was marked leaves an entry in the index, which every look for others passes until it is vacuumed: so that is done
/// after so many, and not after a fifth of all rows of the hour.
const VACUUMED: &str = "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)";
/// How far ahead partitions are made: whoever writes needs one, also where nobody has made any for a day.
const AHEAD: Duration = Duration::DAY;
/// How far back: the clock may be set back a little.
const BACK: Duration = Duration::HOUR;

/// How a session is set that looks for rows that were not sent: it uses the index, always. What PostgreSQL knows of a table that
/// fills and empties is old, and a plan that was made while a partition was small is kept while it grows.
pub(crate) const PROBES: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    // Plans are made once, and not for each batch over all partitions.
    ("plan_cache_mode", "force_generic_plan"),
    // Where there is no index, as of a sequence, it would think that the effort is worth it.
    ("jit", "off"),
];

/// The same for one transaction.
async fn probe(tx: &mut Tx) -> Result<(), Failure> {
    let (names, values): (Vec<&str>, Vec<&str>) = PROBES.into_iter().unzip();
    sqlx::query_scalar!(
        "SELECT set_config(name, value, true) FROM UNNEST($1::text[], $2::text[]) AS t (name, value)",
        &names as &[&str],
        &values as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Writes events, in the order in which they happened.
pub(crate) async fn write(tx: &mut Tx, events: &[NewEvent]) -> Result<(), Failure> {
    let trace = kit::telemetry::traceparent();
    let ids: Vec<Uuid> = events.iter().map(|_| Uuid::now_v7()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let keys: Vec<&str> = events.iter().map(|event| event.partition_key.as_str()).collect();
    let payloads: Vec<&[u8]> = events.iter().map(|event| event.payload.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO outbox (ce_id, kind, subject, sequence, partition_key, payload, traceparent)
         SELECT ce_id, kind, subject, sequence, key, payload, $7
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bytea[]) WITH ORDINALITY
           AS t (ce_id, kind, subject, sequence, key, payload, nth)
         ORDER BY nth",
        &ids,
        &kinds as &[&str],
        &subjects as &[&str],
        &sequences,
        &keys as &[&str],
        &payloads as &[&[u8]],
        trace,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A row that was not sent.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub place: RowId,
    pub event: Event,
}

/// Where a row stands: what finds it in its partition without looking anywhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowId {
    pub slot: i16,
    pub id: i64,
    pub happened_at: OffsetDateTime,
}

/// How many hash partitions there are.
pub(crate) async fn slots(connection: &mut PgConnection) -> Result<i16, Failure> {
    Ok(sqlx::query_scalar!(r#"SELECT outbox_parts() AS "parts!""#).fetch_one(connection).await?)
}

/// The first rows of each of these hash partitions, from the id `floor` on, that were not sent, those of one in order: at most `rows`
/// of each, and no more once their payloads have `bytes`.
pub(crate) async fn unsent(
    connection: &mut PgConnection,
    service: &str,
    slots: &[i16],
    floor: i64,
    (rows, bytes): (i64, i64),
) -> Result<Vec<Unsent>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT row.id AS "id!", row.slot AS "slot!", row.ce_id AS "ce_id!", row.kind AS "kind!",
             row.subject AS "subject!", row.sequence AS "sequence!", row.partition_key AS "partition_key!",
             row.traceparent, row.payload AS "payload!", row.happened_at AS "happened_at!"
           FROM UNNEST($1::smallint[]) AS own (slot) CROSS JOIN LATERAL (
             SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
             FROM (
               SELECT * FROM outbox WHERE outbox.slot = own.slot AND outbox.id >= $4 AND sent_at IS NULL
               ORDER BY outbox.id LIMIT $2
             ) AS first
           ) AS row
           WHERE row.bytes_before < $3::bigint"#,
        slots,
        rows,
        bytes,
        floor,
    )
    .fetch_all(connection)
    .await?;
    let unsent = rows.into_iter().map(|row| Unsent {
        place: RowId { slot: row.slot, id: row.id, happened_at: row.happened_at },
        event: Event {
            id: row.ce_id.to_string(),
            kind: row.kind,
            source: service.to_owned(),
            subject: row.subject,
            time: row.happened_at,
            sequence: row.sequence,
            partition_key: row.partition_key,
            traceparent: row.traceparent,
            payload: row.payload.into(),
        },
    });
    Ok(unsent.collect())
}

/// How far ids were given, and which transactions may hold some of them without having ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// The last id that was given.
    pub id: i64,
    /// Transactions from this one on begin later than that.
    pub next_transaction: i64,
    /// The oldest transaction that has not ended.
    pub oldest_transaction: i64,
}

/// How far ids were given: first that, then the transactions.
pub(crate) async fn given(connection: &mut PgConnection) -> Result<Given, Failure> {
    let id = sqlx::query_scalar!("SELECT last_value FROM outbox_id").fetch_one(&mut *connection).await?;
    let running = sqlx::query!(
        r#"SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "next!",
             pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "oldest!""#
    );
    let running = running.fetch_one(connection).await?;
    Ok(Given { id, next_transaction: running.next, oldest_transaction: running.oldest })
}

/// Lets a look take longer than other statements of the session.
pub(crate) async fn allow_long_looks(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("SET statement_timeout = '30s'").execute(connection).await?;
    Ok(())
}

/// Notes that Kafka has acknowledged these rows, the first ones of their hash partitions, at most `most` of each: all, or none.
///
/// The index is read from the first id to the last, whatever PostgreSQL believes about the table. A join with the rows would be
/// less to write, but where so far every row of a partition was sent, PostgreSQL expects one row that was not, and reads all that
/// wait, for each batch again.
pub(crate) async fn mark(connection: &mut PgConnection, rows: &[RowId], most: i64) -> Result<(), Failure> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // A hash partition that gave as many as it might has more of them behind the last one, and is marked by itself. All others
    // have given everything, so that their ranges hold nothing else.
    let (full, rest): (Vec<_>, Vec<_>) =
        rows.chunk_by(|one, next| one.slot == next.slot).partition(|rows| rows.len() >= most);
    let rest = rest.concat();
    let mut tx = connection.begin().await?;
    for rows in full.into_iter().chain([rest.as_slice()]).filter(|rows| !rows.is_empty()) {
        mark_range(&mut tx, rows).await?;
    }
    Ok(tx.commit().await?)
}

async fn mark_range(connection: &mut PgConnection, rows: &[RowId]) -> Result<(), Failure> {
    let slots: BTreeSet<i16> = rows.iter().map(|row| row.slot).collect();
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    // Which partitions these are.
    let oldest = rows.iter().map(|row| row.happened_at).min();
    let newest = rows.iter().map(|row| row.happened_at).max();
    sqlx::query!(
        "UPDATE outbox SET sent_at = clock_timestamp()
         WHERE slot = ANY($1) AND id BETWEEN $2 AND $3 AND id = ANY($4) AND happened_at BETWEEN $5 AND $6 AND sent_at IS NULL",
        &slots.into_iter().collect::<Vec<i16>>(),
        ids.iter().min(),
        ids.iter().max(),
        &ids,
        oldest,
        newest,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a row out that no topic would take; it is parked before.
pub(crate) async fn take_out(tx: &mut Tx, row: RowId) -> Result<(), Failure> {
    sqlx::query!(
        "DELETE FROM outbox WHERE slot = $1 AND id = $2 AND happened_at = $3 AND sent_at IS NULL",
        row.slot,
        row.id,
        row.happened_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What waits for Kafka.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backlog {
    /// How many ids have been given since the oldest row that was not sent: no fewer than there are such rows.
    pub rows: i64,
    /// How old that row is, in seconds.
    pub seconds: f64,
}

/// What waits for Kafka now.
pub(crate) async fn backlog(pool: &Pool) -> Result<Backlog, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    probe(&mut tx).await?;
    let found = sqlx::query!(
        r#"SELECT (SELECT last_value FROM outbox_id) - min(first.id) + 1 AS rows,
             extract(epoch FROM clock_timestamp() - min(first.happened_at))::float8 AS seconds
           FROM generate_series(0, outbox_parts() - 1) AS part CROSS JOIN LATERAL (
             SELECT id, happened_at FROM outbox WHERE slot = part::smallint AND sent_at IS NULL ORDER BY id LIMIT 1
           ) AS first"#
    )
    .fetch_one(&mut *tx)
    .await?;
    kit::postgres::commit(tx).await?;
    Ok(Backlog { rows: found.rows.unwrap_or_default(), seconds: found.seconds.unwrap_or_default().max(0.0) })
}

/// Makes the partitions of the next hours. Returns those that are over, by their beginnings.
pub(crate) async fn make_partitions(pool: &Pool) -> Result<Vec<OffsetDateTime>, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    HOURS.lock(&mut tx).await?;
    // The clock that dates the rows.
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut *tx).await?;
    HOURS.make(&mut tx, now - BACK, now + AHEAD).await?;
    let begins = HOURS.begins(&mut tx).await?;
    kit::postgres::commit(tx).await?;
    Ok(begins.into_iter().filter(|begin| *begin < HOURS.floor(now - BACK)).collect())
}

/// Drops a partition that is over, if all of it was sent; tells whether it was. Nobody else reads or writes the table meanwhile:
/// first the lock, which waits for whoever has written and not committed, then the look. Who waits for too long is let pass.
pub(crate) async fn drop_sent(pool: &Pool, begin: OffsetDateTime) -> Result<bool, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    HOURS.lock(&mut tx).await?;
    if !HOURS.begins(&mut tx).await?.contains(&begin) {
        return Ok(true);
    }
    sqlx::query!("SET LOCAL lock_timeout = '200ms'").execute(&mut *tx).await?;
    // A process that is paused here must not hold up those who write.
    sqlx::query!("SET LOCAL idle_in_transaction_session_timeout = '1s'").execute(&mut *tx).await?;
    sqlx::query!("SET LOCAL statement_timeout = '1s'").execute(&mut *tx).await?;
    sqlx::query!("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    probe(&mut tx).await?;
    let unsent = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM outbox WHERE sent_at IS NULL AND happened_at >= $1 AND happened_at < $2) AS "unsent!""#,
        begin,
        begin + HOURS.length,
    )
    .fetch_one(&mut *tx)
    .await?;
    if unsent {
        return Ok(false);
    }
    HOURS.drop(&mut tx, begin).await?;
    kit::postgres::commit(tx).await?;
    Ok(true)
}
