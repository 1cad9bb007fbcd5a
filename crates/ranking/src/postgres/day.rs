//! Scores of days, which are also those of weeks: what was sold of each item, and whether Redis knows.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use kit::postgres::{Failure, Pool, Tx};

use super::{named, read_day};
use crate::board::{Board, EPOCH, ItemId, Score};

/// Scores that are read at once of those that Redis may not know yet.
pub const DUE_MOST: usize = 500;

/// A score that Redis may not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// On which day.
    pub day: Date,
    /// Of the day.
    pub daily: Score,
    /// Of the week that the day belongs to.
    pub weekly: Score,
}

/// Changes scores, in the order of days and items. A row that is there is locked in that order, whichever way it changes.
///
/// # Errors
/// PostgreSQL refuses a score below zero, or is away.
pub async fn change(tx: &mut Tx, changes: &BTreeMap<(Date, ItemId), i64>) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let days: Vec<time::Date> = changes.keys().map(|(day, _)| named(*day)).collect();
    let items: Vec<&str> = changes.keys().map(|(_, item_id)| item_id.as_str()).collect();
    let by: Vec<i64> = changes.values().copied().collect();
    let known = sqlx::query!(
        "UPDATE ranking.day_score AS mine SET score = mine.score + locked.by, version = mine.version + 1
         FROM (SELECT old.day, old.item_id, new.by
               FROM UNNEST($1::date[], $2::text[], $3::bigint[]) AS new (day, item_id, by)
               JOIN ranking.day_score AS old ON old.day = new.day AND old.item_id = new.item_id
               ORDER BY old.day, old.item_id FOR UPDATE OF old) AS locked
         WHERE mine.day = locked.day AND mine.item_id = locked.item_id
         RETURNING mine.day, mine.item_id",
        &days,
        &items as &[&str],
        &by,
    )
    .fetch_all(&mut **tx)
    .await?;
    let known: HashSet<(Date, String)> = known.into_iter().map(|row| (read_day(row.day), row.item_id)).collect();
    let new = changes.iter().filter(|((day, item_id), _)| !known.contains(&(*day, item_id.to_string())));
    add(tx, new).await
}

/// Scores of which there is no row, or was none a moment ago.
async fn add<'a>(tx: &mut Tx, new: impl Iterator<Item = (&'a (Date, ItemId), &'a i64)>) -> Result<(), Failure> {
    let (mut days, mut items, mut by) = (Vec::new(), Vec::new(), Vec::new());
    for ((day, item_id), change) in new {
        days.push(named(*day));
        items.push(item_id.as_str());
        by.push(*change);
    }
    if days.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO ranking.day_score AS mine (day, item_id, score, version)
         SELECT new.day, new.item_id, new.by, 1
         FROM UNNEST($1::date[], $2::text[], $3::bigint[]) WITH ORDINALITY AS new (day, item_id, by, nth)
         ORDER BY new.nth
         ON CONFLICT (day, item_id) DO UPDATE SET score = mine.score + excluded.score, version = mine.version + 1",
        &days,
        &items as &[&str],
        &by,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Scores that Redis may not know yet, after a place, in the order of days and items, at most [`DUE_MOST`]. Those of a day and of its
/// week are of one moment.
pub async fn due(pool: &Pool, after: Option<&(Date, ItemId)>) -> Result<Vec<Due>, Failure> {
    let (day, item) = after.map_or((EPOCH, ""), |(day, item_id)| (*day, item_id.as_str()));
    // PostgreSQL has no idea how few rows these are. As it stands, it walks along the index in any case: there is no place that is none,
    // and the limit is a number that it knows when it plans.
    let rows = sqlx::query!(
        r#"SELECT due.day, due.item_id, due.score, due.version, week.score AS "week_score!", week.version AS "week_version!"
           FROM (SELECT day, item_id, score, version FROM ranking.day_score
                 WHERE applied < version AND (day, item_id) > ($1, $2::text) ORDER BY day, item_id LIMIT 500) AS due
           CROSS JOIN LATERAL (
             SELECT sum(one.score)::bigint AS score, sum(one.version)::bigint AS version
             FROM generate_series(0, 6) AS nth
             JOIN ranking.day_score AS one
               ON one.day = date_trunc('week', due.day)::date + nth AND one.item_id = due.item_id) AS week
           ORDER BY due.day, due.item_id"#,
        named(day),
        item,
    )
    .fetch_all(pool)
    .await?;
    let due = rows.into_iter().filter_map(|row| {
        // The table's own check holds the shape of an id.
        let item_id = ItemId::parse(&row.item_id).ok()?;
        let weekly = Score { item_id: item_id.clone(), score: row.week_score, version: row.week_version };
        Some(Due { day: read_day(row.day), daily: Score { item_id, score: row.score, version: row.version }, weekly })
    });
    Ok(due.collect())
}

/// Notes that the boards have these scores. A row that somebody is just changing will be newer anyway: nobody waits for him.
pub async fn applied(pool: &Pool, due: &[Due]) -> Result<(), Failure> {
    let days: Vec<time::Date> = due.iter().map(|due| named(due.day)).collect();
    let items: Vec<&str> = due.iter().map(|due| due.daily.item_id.as_str()).collect();
    let versions: Vec<i64> = due.iter().map(|due| due.daily.version).collect();
    sqlx::query!(
        "UPDATE ranking.day_score AS mine SET applied = locked.version
         FROM (SELECT old.day, old.item_id, new.version
               FROM UNNEST($1::date[], $2::text[], $3::bigint[]) AS new (day, item_id, version)
               JOIN ranking.day_score AS old ON old.day = new.day AND old.item_id = new.item_id
               WHERE old.applied < new.version FOR UPDATE OF old SKIP LOCKED) AS locked
         WHERE mine.day = locked.day AND mine.item_id = locked.item_id",
        &days,
        &items as &[&str],
        &versions,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Scores of a board after an item, in the order of items, those included that are zero.
pub async fn page(pool: &Pool, board: &Board, after: &str, limit: i64) -> Result<Vec<Score>, Failure> {
    // The first of each day are enough: whoever is among the first of all is among the first of each of his days. That a week has no
    // more than seven days is said so that PostgreSQL knows it when it plans.
    let rows = sqlx::query!(
        r#"SELECT one.item_id AS "item_id!", sum(one.score)::bigint AS "score!", sum(one.version)::bigint AS "version!"
           FROM (SELECT nth FROM generate_series(0, $2::integer) AS nth LIMIT 7) AS days
           CROSS JOIN LATERAL (
             SELECT item_id, score, version FROM ranking.day_score
             WHERE day = $1::date + nth AND item_id > $3 ORDER BY item_id LIMIT $4) AS one
           GROUP BY one.item_id ORDER BY one.item_id LIMIT $4"#,
        named(board.first()),
        board.more_days(),
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let scores = rows.into_iter().filter_map(|row| {
        Some(Score { item_id: ItemId::parse(&row.item_id).ok()?, score: row.score, version: row.version })
    });
    Ok(scores.collect())
}

/// The days from `from` to `to` on which something was sold.
pub async fn days(pool: &Pool, from: Date, to: Date) -> Result<Vec<Date>, Failure> {
    let days = sqlx::query_scalar!(
        r#"SELECT $1::date + nth AS "day!" FROM generate_series(0, $2::date - $1::date) AS nth
           WHERE EXISTS (SELECT FROM ranking.day_score WHERE day = $1::date + nth) ORDER BY 1"#,
        named(from),
        named(to),
    )
    .fetch_all(pool)
    .await?;
    Ok(days.into_iter().map(read_day).collect())
}

/// How many of these scores the boards are still not known to have.
pub async fn behind(pool: &Pool, due: &[Due]) -> Result<i64, Failure> {
    let days: Vec<time::Date> = due.iter().map(|due| named(due.day)).collect();
    let items: Vec<&str> = due.iter().map(|due| due.daily.item_id.as_str()).collect();
    let versions: Vec<i64> = due.iter().map(|due| due.daily.version).collect();
    let behind = sqlx::query_scalar!(
        r#"SELECT count(*) AS "behind!" FROM UNNEST($1::date[], $2::text[], $3::bigint[]) AS due (day, item_id, version)
           JOIN ranking.day_score AS mine ON mine.day = due.day AND mine.item_id = due.item_id
           WHERE mine.applied < due.version"#,
        &days,
        &items as &[&str],
        &versions,
    )
    .fetch_one(pool)
    .await?;
    Ok(behind)
}
