//! Points and payments.

use anyhow::Context as _;
use proto::payment::v1::PaymentState;
use sqlx::PgConnection;

use crate::orders::kept::{Account, Entry, Payment};

/// The account of each user; who has none has a balance of 0.
pub(super) async fn accounts(to: &mut PgConnection, users: &[String]) -> anyhow::Result<Vec<Account>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT u.user_id, COALESCE(a.balance, 0)
         FROM UNNEST($1::text[]) AS u (user_id) LEFT JOIN point.account a ON a.user_id = u.user_id",
    )
    .bind(users)
    .fetch_all(to)
    .await?;
    Ok(rows.into_iter().map(|(user_id, balance)| Account { user_id, balance }).collect())
}

/// Every entry of these users, in the order of each account.
pub(super) async fn entries(to: &mut PgConnection, users: &[String]) -> anyhow::Result<Vec<Entry>> {
    let rows: Vec<(String, String, i64, i64, Option<String>)> = sqlx::query_as(
        "SELECT user_id, kind, amount, balance_after, order_id FROM point.entry
         WHERE user_id = ANY($1) ORDER BY user_id, nth",
    )
    .bind(users)
    .fetch_all(to)
    .await?;
    let entry =
        |(user_id, kind, amount, balance_after, order_id)| Entry { user_id, kind, amount, balance_after, order_id };
    Ok(rows.into_iter().map(entry).collect())
}

pub(super) async fn payments(to: &mut PgConnection, users: &[String]) -> anyhow::Result<Vec<Payment>> {
    let rows: Vec<(String, String, i64, i64, String, Option<String>)> = sqlx::query_as(
        "SELECT order_id, user_id, amount, refunded, state, provider_reference FROM payment.payment
         WHERE user_id = ANY($1)",
    )
    .bind(users)
    .fetch_all(to)
    .await?;
    let payment = |(order_id, user_id, amount, refunded, state, reference): (_, _, _, _, String, Option<String>)| {
        let name = format!("PAYMENT_STATE_{state}");
        let state =
            PaymentState::from_str_name(&name).with_context(|| format!("the payment of {order_id} is {state}"))?;
        Ok(Payment { order_id, user_id, amount, refunded, state, reference: reference.unwrap_or_default() })
    };
    rows.into_iter().map(payment).collect()
}
