//! What PostgreSQL knows of each tag: who may serve it, which journal it has.

use std::collections::HashMap;

use kit::postgres::{Failure, Pool};

use crate::journal::Tag;

/// A tag that has been stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The Redis nodes that may serve it.
    pub node_ids: Vec<String>,
    /// Its journal's id.
    pub journal: String,
    /// Counts rebuilds and releases.
    pub epoch: i64,
}

/// The tags that have been stamped.
pub(crate) async fn all(pool: &Pool) -> Result<HashMap<Tag, Known>, Failure> {
    let rows = sqlx::query!("SELECT tag, node_ids, journal, epoch FROM tag").fetch_all(pool).await?;
    let known = rows.into_iter().filter_map(|row| {
        Some((Tag::from_sql(row.tag)?, Known { node_ids: row.node_ids, journal: row.journal, epoch: row.epoch }))
    });
    Ok(known.collect())
}

/// Notes that a tag was stamped. A tag that has a row keeps it.
pub(crate) async fn insert(pool: &Pool, tag: Tag, known: &Known) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO tag (tag, node_ids, journal, epoch) VALUES ($1, $2, $3, $4) ON CONFLICT (tag) DO NOTHING",
        tag.to_sql(),
        &known.node_ids,
        known.journal,
        known.epoch,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Adds a node that may serve the tag. False where the tag has never been stamped.
pub(crate) async fn allow(pool: &Pool, tag: Tag, node_id: &str) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "UPDATE tag SET node_ids = array_append(array_remove(node_ids, $2), $2) WHERE tag = $1",
        tag.to_sql(),
        node_id,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces what was known. False where somebody else has replaced it meanwhile.
pub(crate) async fn replace(pool: &Pool, tag: Tag, old: &Known, new: &Known) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "UPDATE tag SET node_ids = $4, journal = $5, epoch = $6 WHERE tag = $1 AND journal = $2 AND epoch = $3",
        tag.to_sql(),
        old.journal,
        old.epoch,
        &new.node_ids,
        new.journal,
        new.epoch,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}
