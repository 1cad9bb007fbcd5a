//! Dead letters, for an operator: pages of them, one of them under its lock, and what was done.

use kit::postgres::{Failure, Pool, Tx};
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::dead_letter::{DeadLetter, Filter, State};

/// Causes that are told with their counts, at most.
const GROUPS: i64 = 100;

/// A dead letter that a replay has before it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub id: i64,
    pub consumer: String,
    pub parking_key: String,
}

/// What an operator did to a dead letter.
#[derive(Debug)]
pub(crate) struct Action<'a> {
    pub operator: &'a str,
    pub action: &'static str,
    pub why: &'a str,
    pub before: Option<&'a [u8]>,
    pub after: Option<&'a [u8]>,
}

struct Row {
    id: i64,
    consumer: String,
    parking_key: String,
    subject: String,
    kind: String,
    topic: String,
    partition: i32,
    offset: i64,
    headers: serde_json::Value,
    payload: Vec<u8>,
    cause: String,
    attempts: i32,
    parked_at: OffsetDateTime,
    state: String,
    failed_replays: i32,
    replay_cause: Option<String>,
}

impl From<Row> for DeadLetter {
    fn from(row: Row) -> Self {
        let state = if row.state == State::Parked.as_str() { State::Parked } else { State::Quarantined };
        Self {
            id: row.id,
            consumer: row.consumer,
            parking_key: row.parking_key,
            subject: row.subject,
            kind: row.kind,
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
            headers: row.headers,
            payload: row.payload,
            cause: row.cause,
            attempts: row.attempts,
            parked_at: row.parked_at,
            state,
            failed_replays: row.failed_replays,
            replay_cause: row.replay_cause,
        }
    }
}

/// Dead letters after a place, in the order of parking. A page stays small: without payloads, with long headers left out and
/// long causes cut.
pub(crate) async fn page(pool: &Pool, filter: &Filter, after: i64, limit: i64) -> Result<Vec<DeadLetter>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, consumer, parking_key, left(coalesce(headers ->> 'ce_subject', ''), 1000) AS "subject!",
             left(coalesce(headers ->> 'ce_type', ''), 1000) AS "kind!", topic, partition, "offset",
             CASE WHEN octet_length(headers::text) <= 2000 THEN headers ELSE '{}' END AS "headers!",
             ''::bytea AS "payload!", left(cause, 1000) AS "cause!", attempts, parked_at, state, failed_replays,
             left(replay_cause, 1000) AS replay_cause
           FROM parked
           WHERE id > $1 AND ($2::text IS NULL OR consumer = $2) AND ($3::text IS NULL OR strpos(cause, $3) > 0)
           ORDER BY id LIMIT $4"#,
        after,
        filter.consumer,
        filter.cause,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(DeadLetter::from).collect())
}

/// The causes of what a filter means, with how many there are of each, the most frequent first.
pub(crate) async fn causes(pool: &Pool, filter: &Filter) -> Result<Vec<(String, i64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT left(cause, 1000) AS "cause!", count(*) AS "count!" FROM parked
           WHERE ($1::text IS NULL OR consumer = $1) AND ($2::text IS NULL OR strpos(cause, $2) > 0)
           GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3"#,
        filter.consumer,
        filter.cause,
        GROUPS,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.cause, row.count)).collect())
}

/// One dead letter, whole.
pub(crate) async fn find(at: impl PgExecutor<'_>, id: i64) -> Result<Option<DeadLetter>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, consumer, parking_key, coalesce(headers ->> 'ce_subject', '') AS "subject!",
             coalesce(headers ->> 'ce_type', '') AS "kind!", topic, partition, "offset", headers, payload, cause, attempts,
             parked_at, state, failed_replays, replay_cause
           FROM parked WHERE id = $1"#,
        id,
    )
    .fetch_optional(at)
    .await?;
    Ok(row.map(DeadLetter::from))
}

/// What a replay has before it after a place, in the order of parking. Who is quarantined must be named.
pub(crate) async fn candidates(
    pool: &Pool,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<Candidate>, Failure> {
    let ids: Vec<i64> = filter.ids.iter().copied().collect();
    Ok(sqlx::query_as!(
        Candidate,
        "SELECT id, consumer, parking_key FROM parked
         WHERE id > $1 AND ($2::text IS NULL OR consumer = $2) AND ($3::text IS NULL OR strpos(cause, $3) > 0)
           AND ($4::text IS NULL OR parking_key = $4) AND (cardinality($5::bigint[]) = 0 OR id = ANY($5))
           AND (state = 'PARKED' OR id = ANY($5))
         ORDER BY id LIMIT $6",
        after,
        filter.consumer,
        filter.cause,
        filter.parking_key,
        &ids,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// How many a replay has before it after a place.
pub(crate) async fn left(pool: &Pool, filter: &Filter, after: i64) -> Result<i64, Failure> {
    let ids: Vec<i64> = filter.ids.iter().copied().collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM parked
           WHERE id > $1 AND ($2::text IS NULL OR consumer = $2) AND ($3::text IS NULL OR strpos(cause, $3) > 0)
             AND ($4::text IS NULL OR parking_key = $4) AND (cardinality($5::bigint[]) = 0 OR id = ANY($5))
             AND (state = 'PARKED' OR id = ANY($5))"#,
        after,
        filter.consumer,
        filter.cause,
        filter.parking_key,
        &ids,
    )
    .fetch_one(pool)
    .await?)
}

/// Locks every dead letter of a key, as the consumer does, and tells which there are, the oldest first: until the transaction
/// ends, nobody else replays one of them, and the consumer neither parks behind them nor passes.
pub(crate) async fn lock_key(tx: &mut Tx, consumer: &str, parking_key: &str) -> Result<Vec<i64>, Failure> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM parked WHERE consumer = $1 AND parking_key = $2 ORDER BY id FOR UPDATE",
        consumer,
        parking_key,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Whether the same event came once more, and is parked under another place. The key is locked.
pub(crate) async fn is_other_parked(tx: &mut Tx, letter: &DeadLetter, ce_id: &str) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM parked
             WHERE consumer = $1 AND parking_key = $2 AND headers ->> 'ce_id' = $3 AND id <> $4) AS "exists!""#,
        letter.consumer,
        letter.parking_key,
        ce_id,
        letter.id,
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// From here on what was done in the transaction can be taken back.
pub(crate) async fn set_savepoint(tx: &mut Tx) -> Result<(), Failure> {
    sqlx::raw_sql("SAVEPOINT replay").execute(&mut **tx).await?;
    Ok(())
}

/// Lets PostgreSQL judge what it would only judge at the commit.
pub(crate) async fn judge(tx: &mut Tx) -> Result<(), Failure> {
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut **tx).await?;
    Ok(())
}

/// Takes back what was done since the savepoint; the locks from before it stay.
pub(crate) async fn take_back(tx: &mut Tx) -> Result<(), Failure> {
    sqlx::raw_sql("ROLLBACK TO SAVEPOINT replay").execute(&mut **tx).await?;
    Ok(())
}

/// Notes a replay that failed; from so many on it is quarantined.
pub(crate) async fn note_failure(tx: &mut Tx, id: i64, cause: &str, most: i32) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE parked SET failed_replays = failed_replays + 1, replay_cause = $2,
           state = CASE WHEN failed_replays + 1 >= $3 THEN 'QUARANTINED' ELSE state END
         WHERE id = $1",
        id,
        cause,
        most,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives it another payload, with which it has not failed yet.
pub(crate) async fn edit(tx: &mut Tx, id: i64, payload: &[u8]) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE parked SET payload = $2, state = 'PARKED', failed_replays = 0, replay_cause = NULL WHERE id = $1",
        id,
        payload,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// It is parked no more; the last one of its key lets the consumer pass.
pub(crate) async fn remove(tx: &mut Tx, id: i64) -> Result<(), Failure> {
    sqlx::query!("DELETE FROM parked WHERE id = $1", id).execute(&mut **tx).await?;
    Ok(())
}

/// Writes down what was done, in the transaction that does it.
pub(crate) async fn record(tx: &mut Tx, letter: &DeadLetter, action: &Action<'_>) -> Result<(), Failure> {
    sqlx::query!(
        r#"INSERT INTO dead_letter_action (operator, action, why, dead_letter_id, consumer, parking_key, topic, partition,
             "offset", headers, before, after)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        action.operator,
        action.action,
        action.why,
        letter.id,
        letter.consumer,
        letter.parking_key,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.headers,
        action.before,
        action.after,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
