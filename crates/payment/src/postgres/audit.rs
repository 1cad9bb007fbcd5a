//! What an audit asks of PostgreSQL.

use kit::postgres::{Failure, Pool};

/// A payment, as an audit compares it with what others say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// The order, and the key at the provider.
    pub order_id: String,
    /// Where it stands.
    pub state: String,
    /// In minor units.
    pub amount: i64,
    /// Of this currency.
    pub currency: String,
    /// What was given back, in minor units.
    pub refunded: i64,
    /// The provider's name of the charge.
    pub provider_reference: Option<String>,
    /// Whether nothing is left to be settled.
    pub settled: bool,
}

/// How many payments there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// All.
    pub payments: i64,
    /// Those that are still to be settled.
    pub unsettled: i64,
    /// Those of them that nobody has asked the provider about for a minute although they were due.
    pub overdue: i64,
}

/// How many payments there are.
pub async fn count(pool: &Pool) -> Result<Counted, Failure> {
    Ok(sqlx::query_as!(
        Counted,
        r#"SELECT (SELECT count(*) FROM payment.payment) AS "payments!", count(*) AS "unsettled!",
             count(*) FILTER (WHERE due_at < clock_timestamp() - interval '1 minute') AS "overdue!"
           FROM payment.due"#
    )
    .fetch_one(pool)
    .await?)
}

/// What is wrong with payments by themselves, a sentence each, at most so many. The table's constraints hold all of it; an audit does not
/// trust that they are there.
pub async fn contradictions(pool: &Pool, limit: i64) -> Result<Vec<String>, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT format('order %s: %s', order_id, what) AS "what!" FROM payment.payment LEFT JOIN payment.due USING (order_id) CROSS JOIN LATERAL (VALUES
             (amount <= 0, format('its payment of %s is not above zero', amount)),
             (refunded <> CASE state WHEN 'REFUNDED' THEN amount ELSE 0 END,
               format('it is %s, and %s of %s are refunded (I7)', state, refunded, amount)),
             ((provider_reference IS NOT NULL) <> (state IN ('CHARGED', 'REFUNDED')),
               format('it is %s, and the provider''s name of its charge is %s (I7)', state, coalesce(provider_reference, 'missing'))),
             (wanted = 'UNDO' AND state = 'CHARGED' AND due_at IS NULL, 'it is to be undone, is CHARGED, and nobody refunds it (I8)'),
             (state = 'PENDING' AND due_at IS NULL, 'it is PENDING, and nobody settles it (I8)'),
             (wanted = 'CHARGE' AND state IN ('VOIDED', 'REFUNDED'), format('it is %s, and nobody wanted that (I7)', state)),
             (due_at IS NOT NULL AND (state IN ('DECLINED', 'VOIDED', 'REFUNDED') OR (state = 'CHARGED' AND wanted = 'CHARGE')),
               format('it is %s, and somebody would still settle it', state)),
             (due_at IS NULL AND (owes_do OR owes_undo), format('it is %s, and the order was never answered (I8)', state)),
             (answer = 'DONE' AND state NOT IN ('CHARGED', 'REFUNDED'), format('the order was told that it is charged, and it is %s (I7)', state)),
             (answer <> 'DONE' AND state = 'CHARGED' AND due_at IS NULL, 'the order was told that it is not charged, and it is (I7)')
           ) AS sentence (wrong, what)
           WHERE wrong
           UNION ALL SELECT format('order %s: it is to be settled, and has no payment', order_id)
           FROM payment.due LEFT JOIN payment.payment USING (order_id) WHERE payment_id IS NULL
           ORDER BY 1 LIMIT $1"#,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// Payments after an order, in the order of their orders.
pub async fn page(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Audited>, Failure> {
    Ok(sqlx::query_as!(
        Audited,
        r#"SELECT order_id AS "order_id!", state AS "state!", amount AS "amount!", currency AS "currency!", refunded AS "refunded!",
             provider_reference AS "provider_reference?", due_at IS NULL AS "settled!"
           FROM payment.payment LEFT JOIN payment.due USING (order_id) WHERE order_id > $1 ORDER BY order_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// The payments of these orders.
pub async fn of_orders(pool: &Pool, order_ids: &[String]) -> Result<Vec<Audited>, Failure> {
    Ok(sqlx::query_as!(
        Audited,
        r#"SELECT order_id AS "order_id!", state AS "state!", amount AS "amount!", currency AS "currency!", refunded AS "refunded!",
             provider_reference AS "provider_reference?", due_at IS NULL AS "settled!"
           FROM payment.payment LEFT JOIN payment.due USING (order_id) WHERE order_id = ANY($1)"#,
        order_ids,
    )
    .fetch_all(pool)
    .await?)
}
