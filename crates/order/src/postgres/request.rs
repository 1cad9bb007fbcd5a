//! Requests that must not be carried out twice.

use std::collections::HashMap;

use kit::postgres::{Failure, Pool, Tx};

/// How many are forgotten in one statement.
const FORGET_MOST: i64 = 10_000;

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// SHA-256 of what was asked.
    pub digest: Vec<u8>,
    /// What it made.
    pub made: String,
}

/// Those of the requests that were carried out.
pub async fn find(tx: &mut Tx, request_ids: &[String]) -> Result<HashMap<String, Made>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT request_id, digest, made FROM "order".request WHERE request_id = ANY($1)"#,
        request_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.request_id, Made { digest: row.digest, made: row.made })).collect())
}

/// Notes requests, in the order of their names. Whether none of them was there: else somebody else has carried one out meanwhile.
pub async fn note(tx: &mut Tx, requests: &[(String, Made)]) -> Result<bool, Failure> {
    let ids: Vec<&str> = requests.iter().map(|(id, _)| id.as_str()).collect();
    let digests: Vec<&[u8]> = requests.iter().map(|(_, made)| made.digest.as_slice()).collect();
    let made: Vec<&str> = requests.iter().map(|(_, made)| made.made.as_str()).collect();
    let new = sqlx::query!(
        r#"INSERT INTO "order".request (request_id, digest, made)
           SELECT * FROM UNNEST($1::text[], $2::bytea[], $3::text[]) AS t (request_id, digest, made) ORDER BY request_id
           ON CONFLICT DO NOTHING"#,
        &ids as &[&str],
        &digests as &[&[u8]],
        &made as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(new.rows_affected() == requests.len() as u64)
}

/// Forgets requests that are older than a day. How many it were.
pub async fn forget(pool: &Pool) -> Result<u64, Failure> {
    let gone = sqlx::query!(
        r#"DELETE FROM "order".request WHERE request_id IN (
             SELECT request_id FROM "order".request WHERE created_at < clock_timestamp() - interval '24 hours'
             ORDER BY created_at LIMIT $1)"#,
        FORGET_MOST,
    )
    .execute(pool)
    .await?;
    Ok(gone.rows_affected())
}
