//! Progress and marks of the journals.

use std::collections::HashMap;

use kit::postgres::{Failure, Pool, Tx};
use sqlx::PgConnection;

use crate::journal::{EntryId, Position, Tag};

/// Up to where each journal has taken effect.
pub(crate) async fn progress(pool: &Pool) -> Result<HashMap<Tag, Position>, Failure> {
    let rows = sqlx::query!("SELECT tag, epoch, entry_ms, entry_seq FROM journal_progress").fetch_all(pool).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((Tag::from_sql(row.tag)?, position(row.epoch, row.entry_ms, row.entry_seq))))
        .collect())
}

/// Up to where each journal has been acknowledged by Kafka, as it was last written down.
pub(crate) async fn marks(pool: &Pool) -> Result<HashMap<Tag, Position>, Failure> {
    let rows = sqlx::query!("SELECT tag, epoch, entry_ms, entry_seq FROM journal_mark").fetch_all(pool).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((Tag::from_sql(row.tag)?, position(row.epoch, row.entry_ms, row.entry_seq))))
        .collect())
}

/// Notes, in the transaction of the effects, how far each journal has come. Never backward.
pub(crate) async fn advance(tx: &mut Tx, positions: &HashMap<Tag, Position>) -> Result<(), Failure> {
    let columns = Columns::of(positions);
    sqlx::query!(
        "INSERT INTO journal_progress AS mine (tag, epoch, entry_ms, entry_seq)
         SELECT * FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[])
         ON CONFLICT (tag) DO UPDATE SET epoch = excluded.epoch, entry_ms = excluded.entry_ms,
           entry_seq = excluded.entry_seq
         WHERE (mine.epoch, mine.entry_ms, mine.entry_seq)
             < (excluded.epoch, excluded.entry_ms, excluded.entry_seq)",
        &columns.tags,
        &columns.epochs,
        &columns.entry_ms,
        &columns.entry_seq,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes up to where Kafka has acknowledged, under the token of the lease. Never backward, never by an older holder.
pub(crate) async fn mark(
    connection: &mut PgConnection,
    token: i64,
    positions: &HashMap<Tag, Position>,
) -> Result<(), Failure> {
    let columns = Columns::of(positions);
    sqlx::query!(
        "INSERT INTO journal_mark AS mine (tag, token, epoch, entry_ms, entry_seq)
         SELECT tag, $5, epoch, entry_ms, entry_seq
         FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t (tag, epoch, entry_ms, entry_seq)
         ON CONFLICT (tag) DO UPDATE SET token = excluded.token, epoch = excluded.epoch,
           entry_ms = excluded.entry_ms, entry_seq = excluded.entry_seq
         WHERE mine.token <= excluded.token
           AND (mine.epoch, mine.entry_ms, mine.entry_seq)
             < (excluded.epoch, excluded.entry_ms, excluded.entry_seq)",
        &columns.tags,
        &columns.epochs,
        &columns.entry_ms,
        &columns.entry_seq,
        token,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Positions by column, as `UNNEST` wants them.
#[derive(Default)]
struct Columns {
    tags: Vec<i16>,
    epochs: Vec<i64>,
    entry_ms: Vec<i64>,
    entry_seq: Vec<i64>,
}

impl Columns {
    /// In the order of the tags, so that two transactions cannot wait for each other.
    fn of(positions: &HashMap<Tag, Position>) -> Self {
        let mut sorted: Vec<_> = positions.iter().collect();
        sorted.sort();
        let mut columns = Self::default();
        for (tag, position) in sorted {
            columns.tags.push(tag.to_sql());
            columns.epochs.push(position.epoch);
            columns.entry_ms.push(signed(position.entry.ms));
            columns.entry_seq.push(signed(position.entry.seq));
        }
        columns
    }
}

fn position(epoch: i64, ms: i64, seq: i64) -> Position {
    Position { epoch, entry: EntryId { ms: ms.unsigned_abs(), seq: seq.unsigned_abs() } }
}

/// Milliseconds and counts stay far below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
