//! What an audit looks at: every account beside its entries, every order beside its own.

use kit::postgres::{Failure, Pool, begin, commit};
use time::OffsetDateTime;

/// How long one page of an audit may take: an account may have millions of entries.
const PAGE_TIME: &str = "60s";

/// An account as its row says, and as its entries and lots say. What is missing of the three is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedAccount {
    /// Whose it is.
    pub user_id: String,
    /// What the row says.
    pub balance: Option<i64>,
    /// How many entries the row counts.
    pub version: Option<i64>,
    /// When the row says that the next points expire.
    pub next_expiry: Option<OffsetDateTime>,
    /// How many entries there are.
    pub entries: i64,
    /// Their sum.
    pub amount: i64,
    /// What the house's accounts have for them.
    pub house: i64,
    /// The first entry that does not follow from the one before.
    pub broken_nth: Option<i64>,
    /// The first entry that leaves less than nothing.
    pub negative_nth: Option<i64>,
    /// The first entry for an order that does not know of it.
    pub stray_nth: Option<i64>,
    /// How many points there are in lots.
    pub lots: i64,
    /// When the first of them expire.
    pub first_lot: Option<OffsetDateTime>,
}

/// An order, and the entries that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedOrder {
    /// The order.
    pub order_id: String,
    /// How many points were taken.
    pub taken: i64,
    /// How many points were given back.
    pub refunded: i64,
    /// Whether it bears the mark of an undo.
    pub undone: bool,
    /// Whether it names an entry by which points were taken.
    pub names_taken: bool,
    /// Whether it names an entry by which it has given back.
    pub names_refunded: bool,
    /// What the entry says by which points were taken, if it is there and is of this order.
    pub deducted: Option<i64>,
    /// What the entry says by which points were given back, if it is there and is of this order.
    pub given_back: Option<i64>,
}

/// The next accounts after a name, in their order, and whoever has entries or lots and no row. All of a page is of one moment.
pub async fn accounts(pool: &Pool, after: &str, limit: i64) -> Result<Vec<AuditedAccount>, Failure> {
    let mut tx = begin(pool).await?;
    allow_time(&mut tx).await?;
    let rows = sqlx::query_file_as!(AuditedAccount, "src/postgres/audit_accounts.sql", after, limit)
        .fetch_all(&mut *tx)
        .await?;
    commit(tx).await?;
    Ok(rows)
}

/// The next orders after a name, in their order. All of a page is of one moment.
pub async fn orders(pool: &Pool, after: &str, limit: i64) -> Result<Vec<AuditedOrder>, Failure> {
    let rows = sqlx::query_as!(
        AuditedOrder,
        r#"SELECT mine.order_id, taken, refunded, undone, taken_nth IS NOT NULL AS "names_taken!",
             refunded_nth IS NOT NULL AS "names_refunded!", -out.amount AS "deducted?", back.amount AS "given_back?"
           FROM point.order_use AS mine
           LEFT JOIN point.entry AS out ON out.user_id = mine.user_id AND out.nth = taken_nth
             AND out.kind = 'DEDUCT' AND out.order_id = mine.order_id
           LEFT JOIN point.entry AS back ON back.user_id = mine.user_id AND back.nth = refunded_nth
             AND back.kind = 'REFUND' AND back.order_id = mine.order_id
           WHERE mine.order_id > $1 ORDER BY mine.order_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

async fn allow_time(tx: &mut kit::postgres::Tx) -> Result<(), Failure> {
    sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, true)", PAGE_TIME).fetch_one(&mut **tx).await?;
    Ok(())
}
