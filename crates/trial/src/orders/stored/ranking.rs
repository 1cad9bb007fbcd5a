//! What ranking has counted.

use sqlx::PgConnection;

use crate::orders::kept::Score;

/// On each day.
pub(super) async fn days(to: &mut PgConnection, items: &[String]) -> anyhow::Result<Vec<Score>> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT day::text, item_id, score FROM ranking.day_score WHERE item_id = ANY($1)")
            .bind(items)
            .fetch_all(to)
            .await?;
    Ok(rows.into_iter().map(|(day, item_id, score)| Score { day, item_id, score }).collect())
}

/// And of all time.
pub(super) async fn all_time(to: &mut PgConnection, items: &[String]) -> anyhow::Result<Vec<Score>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT item_id, score FROM ranking.all_time WHERE item_id = ANY($1)")
            .bind(items)
            .fetch_all(to)
            .await?;
    Ok(rows.into_iter().map(|(item_id, score)| Score { day: String::new(), item_id, score }).collect())
}
