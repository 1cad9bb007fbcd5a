//! Parked events: what could not take effect, and what came later for the same parking key.

use std::collections::HashSet;

use kit::postgres::{Failure, Pool, Tx};

use crate::journal::Tag;

/// An event to park.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    pub parking_key: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub headers: serde_json::Value,
    pub payload: Vec<u8>,
    pub cause: String,
    pub attempts: i32,
}

/// Which of these keys have something parked. Locks those rows: a replay of the same key waits for this transaction.
pub(crate) async fn keys(tx: &mut Tx, consumer: &str, keys: &[String]) -> Result<HashSet<String>, Failure> {
    let found = sqlx::query_scalar!(
        "SELECT parking_key FROM parked WHERE consumer = $1 AND parking_key = ANY($2) ORDER BY id FOR UPDATE",
        consumer,
        keys,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(found.into_iter().collect())
}

/// Where a record lies: its topic, its partition, its offset there.
pub(crate) type Lies = (String, i32, i64);

/// Which of these records an operator has discarded.
pub(crate) async fn discarded(tx: &mut Tx, consumer: &str, records: &[Lies]) -> Result<HashSet<Lies>, Failure> {
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let topics: Vec<String> = records.iter().map(|(topic, ..)| topic.clone()).collect();
    let partitions: Vec<i32> = records.iter().map(|(_, partition, _)| *partition).collect();
    let offsets: Vec<i64> = records.iter().map(|(.., offset)| *offset).collect();
    let rows = sqlx::query!(
        r#"SELECT DISTINCT done.topic, done.partition, done."offset" FROM dead_letter_action done
           JOIN UNNEST($2::text[], $3::int[], $4::bigint[]) AS asked (topic, partition, "offset")
             ON done.topic = asked.topic AND done.partition = asked.partition AND done."offset" = asked."offset"
           WHERE done.consumer = $1 AND done.action = 'DISCARD'"#,
        consumer,
        &topics,
        &partitions,
        &offsets,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.topic, row.partition, row.offset)).collect())
}

/// Parks one event; one that is parked already stays as it is. Returns whether it is new here.
pub(crate) async fn park(tx: &mut Tx, consumer: &str, event: &Parked) -> Result<bool, Failure> {
    let done = sqlx::query!(
        r#"INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           ON CONFLICT (consumer, topic, partition, "offset") DO NOTHING"#,
        consumer,
        event.parking_key,
        event.topic,
        event.partition,
        event.offset,
        event.headers,
        event.payload,
        event.cause,
        event.attempts,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A parked event of which no copy has been sent.
#[derive(Debug)]
pub(crate) struct Uncopied {
    pub id: i64,
    pub consumer: String,
    pub event: Parked,
}

/// Parked events of which no copy has been sent, in the order in which they were parked.
pub(crate) async fn uncopied(pool: &Pool, limit: i64) -> Result<Vec<Uncopied>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT id, consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts
           FROM parked WHERE copied_at IS NULL ORDER BY id LIMIT $1"#,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let uncopied = rows.into_iter().map(|row| {
        let event = Parked {
            parking_key: row.parking_key,
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
            headers: row.headers,
            payload: row.payload,
            cause: row.cause,
            attempts: row.attempts,
        };
        Uncopied { id: row.id, consumer: row.consumer, event }
    });
    Ok(uncopied.collect())
}

/// Notes that copies were sent.
pub(crate) async fn copied(pool: &Pool, ids: &[i64]) -> Result<(), Failure> {
    sqlx::query!("UPDATE parked SET copied_at = clock_timestamp() WHERE id = ANY($1)", ids).execute(pool).await?;
    Ok(())
}

/// How many events are parked, for each consumer that has any.
pub(crate) async fn counts(pool: &Pool) -> Result<Vec<(String, i64)>, Failure> {
    let rows = sqlx::query!(r#"SELECT consumer, count(*) AS "count!" FROM parked GROUP BY consumer ORDER BY consumer"#)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.consumer, row.count)).collect())
}

/// How many events this consumer has parked.
pub(crate) async fn count(tx: &mut Tx, consumer: &str) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM parked WHERE consumer = $1"#, consumer)
        .fetch_one(&mut **tx)
        .await?)
}

/// Under which name the relays of a service park what they cannot read.
pub(crate) fn relay_name(service: &str) -> String {
    format!("{service}.relay")
}

/// Whether an event is parked whose key begins like this, or an entry of this tag's journal, which may be about anything.
pub(crate) async fn any_of(pool: &Pool, service: &str, tag: Tag, prefix: &str) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM parked
             WHERE starts_with(parking_key, $1) OR (consumer = $2 AND partition = $3)) AS "exists!""#,
        prefix,
        relay_name(service),
        i32::from(tag.number()),
    )
    .fetch_one(pool)
    .await?)
}
