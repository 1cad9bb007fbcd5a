//! Sales: what has been heard of each order.

use kit::postgres::{Failure, Tx};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::board::{ItemId, parse_day};
use crate::sale::{Line, Sale, Turn};

/// A line, as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    day: String,
    item_id: String,
    quantity: i64,
}

/// Notes what was heard of orders, each of them once and in the order of their ids. Answers those that count from now on, and those
/// that no longer do. What was sold, and on which day, stays as it was first heard.
pub async fn note(tx: &mut Tx, sales: &[Sale]) -> Result<Vec<Turn>, Failure> {
    let ids: Vec<&str> = sales.iter().map(|sale| sale.order_id.as_str()).collect();
    let lines: Vec<Json<Vec<Row>>> = sales.iter().map(|sale| Json(sale.lines.iter().map(Row::of).collect())).collect();
    let (paid, cancelled): (Vec<bool>, Vec<bool>) = sales.iter().map(|sale| (sale.paid, sale.cancelled)).unzip();
    let rows = sqlx::query!(
        r#"INSERT INTO ranking.sale AS mine (order_id, lines, paid, cancelled)
           SELECT new.order_id, new.lines, new.paid, new.cancelled
           FROM UNNEST($1::text[], $2::jsonb[], $3::boolean[], $4::boolean[]) WITH ORDINALITY
             AS new (order_id, lines, paid, cancelled, nth)
           ORDER BY new.nth
           ON CONFLICT (order_id) DO UPDATE SET counted_before = mine.paid AND NOT mine.cancelled,
             paid = mine.paid OR excluded.paid, cancelled = mine.cancelled OR excluded.cancelled
           WHERE (excluded.paid AND NOT mine.paid) OR (excluded.cancelled AND NOT mine.cancelled)
           RETURNING lines AS "lines: Json<Vec<Row>>", counted_before, paid AND NOT cancelled AS "counts!""#,
        &ids as &[&str],
        &lines as _,
        &paid,
        &cancelled,
    )
    .fetch_all(&mut **tx)
    .await?;
    let turned = rows.into_iter().filter(|row| row.counted_before != row.counts);
    let turn = |lines: Vec<Row>, counts| Turn { lines: lines.into_iter().filter_map(Row::into_line).collect(), counts };
    Ok(turned.map(|row| turn(row.lines.0, row.counts)).collect())
}

impl Row {
    fn of(line: &Line) -> Self {
        Self { day: line.day.to_string(), item_id: line.item_id.to_string(), quantity: line.quantity }
    }

    /// It was checked before it was written down.
    fn into_line(self) -> Option<Line> {
        Some(Line { day: parse_day(&self.day)?, item_id: ItemId::parse(&self.item_id).ok()?, quantity: self.quantity })
    }
}
