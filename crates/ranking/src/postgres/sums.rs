//! What an audit asks: whether each sum is the sum of what it is a sum of. Each question is one statement, and so sees one moment.

use jiff::civil::Date;
use kit::postgres::{Failure, Pool, Tx};

use super::read_day;

/// Differences that are read, at most.
const MOST: i64 = 100;
/// How long one question may take: it reads everything.
const PATIENCE: &str = "300s";

/// A score of a day that is not what the sales of the day add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayDifference {
    /// Which day.
    pub day: Date,
    /// Which item.
    pub item_id: String,
    /// What the table says.
    pub score: i64,
    /// What the sales say.
    pub sold: i64,
}

/// A score of all time that is not the sum of its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDifference {
    /// Which item.
    pub item_id: String,
    /// What the table says.
    pub score: i64,
    /// What the days say.
    pub days: i64,
}

/// Scores of days against the sales that count.
pub async fn days(pool: &Pool) -> Result<Vec<DayDifference>, Failure> {
    let mut tx = patient(pool).await?;
    let rows = sqlx::query!(
        r#"WITH sold AS (
             SELECT line.day, line.item_id, sum(line.quantity)::bigint AS sold
             FROM ranking.sale CROSS JOIN LATERAL jsonb_to_recordset(lines)
               AS line (day date, item_id text, quantity bigint)
             WHERE paid AND NOT cancelled GROUP BY line.day, line.item_id)
           SELECT coalesce(mine.day, sold.day) AS "day!", coalesce(mine.item_id, sold.item_id) AS "item_id!",
             coalesce(mine.score, 0) AS "score!", coalesce(sold.sold, 0) AS "sold!"
           FROM ranking.day_score AS mine
           FULL JOIN sold ON sold.day = mine.day AND sold.item_id = mine.item_id
           WHERE coalesce(mine.score, 0) <> coalesce(sold.sold, 0)
           ORDER BY 1, 2 LIMIT $1"#,
        MOST,
    )
    .fetch_all(&mut *tx)
    .await?;
    let found = rows.into_iter().map(|row| DayDifference {
        day: read_day(row.day),
        item_id: row.item_id,
        score: row.score,
        sold: row.sold,
    });
    Ok(found.collect())
}

/// Scores of all time against those of days.
pub async fn all_time(pool: &Pool) -> Result<Vec<ItemDifference>, Failure> {
    let mut tx = patient(pool).await?;
    let rows = sqlx::query_as!(
        ItemDifference,
        r#"SELECT coalesce(mine.item_id, days.item_id) AS "item_id!", coalesce(mine.score, 0) AS "score!",
             coalesce(days.score, 0) AS "days!"
           FROM ranking.all_time AS mine
           FULL JOIN (SELECT item_id, sum(score)::bigint AS score FROM ranking.day_score GROUP BY item_id) AS days
             ON days.item_id = mine.item_id
           WHERE coalesce(mine.score, 0) <> coalesce(days.score, 0)
           ORDER BY 1 LIMIT $1"#,
        MOST,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}

/// How many sales there are, those included that no longer count.
pub async fn sales(pool: &Pool) -> Result<i64, Failure> {
    let mut tx = patient(pool).await?;
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "sales!" FROM ranking.sale"#).fetch_one(&mut *tx).await?)
}

/// A transaction whose statements may take longer than those of a request.
async fn patient(pool: &Pool) -> Result<Tx, Failure> {
    let mut tx = kit::postgres::begin(pool).await?;
    sqlx::query!("SELECT set_config('statement_timeout', $1, true)", PATIENCE).fetch_one(&mut *tx).await?;
    Ok(tx)
}
