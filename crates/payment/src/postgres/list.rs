//! Payments, many at once, newest first.

use kit::postgres::{Failure, Pool};

use super::payment::Columns;
use crate::payment::{Payment, PaymentId, State, UserId};

/// Which payments, and how many.
#[derive(Debug, Clone)]
pub struct Page {
    /// Of this user only.
    pub user_id: Option<UserId>,
    /// In this state only.
    pub state: Option<State>,
    /// Older than this one only.
    pub after: Option<PaymentId>,
    /// So many at most.
    pub limit: i64,
    /// Of the first so many, whatever their state.
    pub looks: i64,
}

/// One page. Names of payments sort by when they were made, and none sorts after `w`: without a place to begin at, the newest is first.
pub async fn page(pool: &Pool, page: &Page) -> Result<Vec<Payment>, Failure> {
    let (state, after) = (page.state.map(State::as_str), page.after.as_ref().map(PaymentId::as_str));
    // Two statements and no condition that may be there or not: so each goes by its index, however it is planned.
    let rows = match &page.user_id {
        Some(user_id) => {
            sqlx::query_as!(
                Columns,
                "SELECT payment_id, order_id, user_id, amount, currency, method, state, provider_reference, version, created_at
                 FROM (SELECT * FROM payment.payment WHERE user_id = $1 AND payment_id < coalesce($2, 'w')
                       ORDER BY payment_id DESC LIMIT $3) AS looked
                 WHERE $4::text IS NULL OR state = $4 ORDER BY payment_id DESC LIMIT $5",
                user_id.as_str(),
                after,
                page.looks,
                state,
                page.limit,
            )
            .fetch_all(pool)
            .await?
        }
        None => {
            sqlx::query_as!(
                Columns,
                "SELECT payment_id, order_id, user_id, amount, currency, method, state, provider_reference, version, created_at
                 FROM (SELECT * FROM payment.payment WHERE payment_id < coalesce($1, 'w')
                       ORDER BY payment_id DESC LIMIT $2) AS looked
                 WHERE $3::text IS NULL OR state = $3 ORDER BY payment_id DESC LIMIT $4",
                after,
                page.looks,
                state,
                page.limit,
            )
            .fetch_all(pool)
            .await?
        }
    };
    Ok(rows.into_iter().filter_map(Columns::into_payment).collect())
}

/// The last payment that [`page`] has looked at, if it has looked at as many as it may.
pub async fn last_looked(pool: &Pool, page: &Page) -> Result<Option<PaymentId>, Failure> {
    let after = page.after.as_ref().map(PaymentId::as_str);
    let last = match &page.user_id {
        Some(user_id) => {
            sqlx::query_scalar!(
                "SELECT payment_id FROM payment.payment WHERE user_id = $1 AND payment_id < coalesce($2, 'w')
                 ORDER BY payment_id DESC OFFSET $3::bigint - 1 LIMIT 1",
                user_id.as_str(),
                after,
                page.looks,
            )
            .fetch_optional(pool)
            .await?
        }
        None => {
            sqlx::query_scalar!(
                "SELECT payment_id FROM payment.payment WHERE payment_id < coalesce($1, 'w')
                 ORDER BY payment_id DESC OFFSET $2::bigint - 1 LIMIT 1",
                after,
                page.looks,
            )
            .fetch_optional(pool)
            .await?
        }
    };
    Ok(last.and_then(|payment_id| PaymentId::parse(&payment_id).ok()))
}
