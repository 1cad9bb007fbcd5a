//! Scores of all time.

use std::collections::{BTreeMap, HashMap, HashSet};

use kit::postgres::{Failure, Pool, Tx};

use crate::board::{ItemId, Top, ranked};

/// Changes scores, in the order of items, as those of days are changed.
///
/// # Errors
/// PostgreSQL refuses a score below zero, or is away.
pub async fn change(tx: &mut Tx, changes: &BTreeMap<ItemId, i64>) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let items: Vec<&str> = changes.keys().map(ItemId::as_str).collect();
    let by: Vec<i64> = changes.values().copied().collect();
    let known = sqlx::query_scalar!(
        "UPDATE ranking.all_time AS mine SET score = mine.score + locked.by
         FROM (SELECT old.item_id, new.by
               FROM UNNEST($1::text[], $2::bigint[]) AS new (item_id, by)
               JOIN ranking.all_time AS old ON old.item_id = new.item_id
               ORDER BY old.item_id FOR UPDATE OF old) AS locked
         WHERE mine.item_id = locked.item_id RETURNING mine.item_id",
        &items as &[&str],
        &by,
    )
    .fetch_all(&mut **tx)
    .await?;
    let known: HashSet<String> = known.into_iter().collect();
    let new = changes.iter().filter(|(item_id, _)| !known.contains(item_id.as_str()));
    add(tx, new).await
}

/// Scores of which there is no row, or was none a moment ago.
async fn add<'a>(tx: &mut Tx, new: impl Iterator<Item = (&'a ItemId, &'a i64)>) -> Result<(), Failure> {
    let (items, by): (Vec<&str>, Vec<i64>) = new.map(|(item_id, by)| (item_id.as_str(), *by)).unzip();
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO ranking.all_time AS mine (item_id, score)
         SELECT new.item_id, new.by FROM UNNEST($1::text[], $2::bigint[]) WITH ORDINALITY AS new (item_id, by, nth)
         ORDER BY new.nth
         ON CONFLICT (item_id) DO UPDATE SET score = mine.score + excluded.score",
        &items as &[&str],
        &by,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The first places, with everything that was committed before `as_of`: `now()` is when the transaction began, and it sees what is
/// there a moment later.
pub async fn top(pool: &Pool, places: usize) -> Result<Top, Failure> {
    let rows = sqlx::query!(
        r#"SELECT now() AS "as_of!", top.item_id AS "item_id?", top.score AS "score?"
           FROM (SELECT) AS always LEFT JOIN (
             SELECT item_id, score FROM ranking.all_time WHERE score > 0 ORDER BY score DESC, item_id LIMIT $1) AS top ON true
           ORDER BY top.score DESC, top.item_id"#,
        i64::try_from(places).unwrap_or(i64::MAX),
    )
    .fetch_all(pool)
    .await?;
    let as_of = rows.first().map_or_else(kit::clock::now, |row| row.as_of);
    let scores = rows.into_iter().filter_map(|row| Some((ItemId::parse(&row.item_id?).ok()?, row.score?)));
    Ok(Top { entries: ranked(1, scores), as_of })
}

/// Every item that sales count for, and how many of it.
pub async fn all(pool: &Pool) -> Result<HashMap<String, i64>, Failure> {
    let rows = sqlx::query!("SELECT item_id, score FROM ranking.all_time WHERE score > 0").fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| (row.item_id, row.score)).collect())
}
