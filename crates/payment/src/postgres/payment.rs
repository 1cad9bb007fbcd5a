//! Payments: written down, locked, changed.

use std::collections::{HashMap, HashSet};

use kit::money::Money;
use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::payment::{Asked, Case, Due, Kind, OrderId, Payment, PaymentId, Reply, State, UserId};

/// A payment's row, as others see it.
pub(super) struct Columns {
    pub payment_id: String,
    pub order_id: String,
    pub user_id: String,
    pub amount: i64,
    pub currency: String,
    pub method: String,
    pub state: String,
    pub provider_reference: Option<String>,
    pub version: i64,
    pub created_at: OffsetDateTime,
}

impl Columns {
    /// Nothing where the row is not one that this service has written.
    pub(super) fn into_payment(self) -> Option<Payment> {
        Some(Payment {
            payment_id: PaymentId::parse(&self.payment_id).ok()?,
            order_id: OrderId::parse(&self.order_id).ok()?,
            user_id: UserId::parse(&self.user_id).ok()?,
            amount: Money { currency: self.currency, minor_units: self.amount },
            method: self.method,
            state: State::parse(&self.state)?,
            provider_reference: self.provider_reference,
            version: self.version,
            created_at: self.created_at,
        })
    }
}

/// Writes payments down that are asked for the first time, each to be settled from now on ([`due::begin`](super::due::begin)). Which
/// those are; of the others nothing is changed. Each order is asked for once at most.
pub async fn begin(tx: &mut Tx, asked: &[&Asked]) -> Result<HashSet<OrderId>, Failure> {
    // In the order of the orders: two who begin the same payments do not wait for each other in a circle.
    let mut asked = asked.to_vec();
    asked.sort_by(|one, other| one.order_id.cmp(&other.order_id));
    let ids: Vec<String> = asked.iter().map(|_| PaymentId::random().to_string()).collect();
    let orders: Vec<&str> = asked.iter().map(|asked| asked.order_id.as_str()).collect();
    let users: Vec<&str> = asked.iter().map(|asked| asked.user_id.as_str()).collect();
    let amounts: Vec<i64> = asked.iter().map(|asked| asked.amount.minor_units).collect();
    let currencies: Vec<&str> = asked.iter().map(|asked| asked.amount.currency.as_str()).collect();
    let methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    let wanted: Vec<&str> = asked.iter().map(|asked| asked.kind.as_str()).collect();
    let begun = sqlx::query_scalar!(
        "INSERT INTO payment.payment (payment_id, order_id, user_id, amount, currency, method, state, wanted, owes_do, owes_undo)
         SELECT payment_id, order_id, user_id, amount, currency, method, 'PENDING', wanted, wanted = 'CHARGE', wanted = 'UNDO'
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
           AS t (payment_id, order_id, user_id, amount, currency, method, wanted, nth)
         ORDER BY nth
         ON CONFLICT (order_id) DO NOTHING RETURNING order_id",
        &ids,
        &orders as &[&str],
        &users as &[&str],
        &amounts,
        &currencies as &[&str],
        &methods as &[&str],
        &wanted as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(begun.iter().filter_map(|order_id| OrderId::parse(order_id).ok()).collect())
}

/// Locks the payments of these orders until the transaction ends, in the order of the orders. They are due as they are.
pub async fn lock(tx: &mut Tx, orders: &[&OrderId]) -> Result<HashMap<OrderId, Case>, Failure> {
    let orders: Vec<&str> = orders.iter().map(|order_id| order_id.as_str()).collect();
    let rows = sqlx::query!(
        "SELECT payment_id, order_id, user_id, amount, currency, method, state, provider_reference, version, created_at, wanted, answer,
           owes_do, owes_undo, attempts
         FROM payment.payment WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE",
        &orders as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut cases = HashMap::with_capacity(rows.len());
    for row in rows {
        let columns = Columns {
            payment_id: row.payment_id,
            order_id: row.order_id,
            user_id: row.user_id,
            amount: row.amount,
            currency: row.currency,
            method: row.method,
            state: row.state,
            provider_reference: row.provider_reference,
            version: row.version,
            created_at: row.created_at,
        };
        let (Some(payment), Some(wanted)) = (columns.into_payment(), Kind::parse(&row.wanted)) else { continue };
        let case = Case {
            wanted,
            reply: row.answer.as_deref().and_then(Reply::parse),
            owes_do: row.owes_do,
            owes_undo: row.owes_undo,
            attempts: row.attempts,
            due: Due::Kept,
            payment,
        };
        cases.insert(case.payment.order_id.clone(), case);
    }
    Ok(cases)
}

/// Writes down how these stand, but not when they are due ([`due::save`](super::due::save)); the transaction has locked them.
pub async fn save(tx: &mut Tx, cases: &[&Case]) -> Result<(), Failure> {
    let orders: Vec<&str> = cases.iter().map(|case| case.payment.order_id.as_str()).collect();
    let states: Vec<&str> = cases.iter().map(|case| case.payment.state.as_str()).collect();
    let refunded: Vec<i64> = cases.iter().map(|case| case.payment.refunded()).collect();
    let references: Vec<Option<&str>> = cases.iter().map(|case| case.payment.provider_reference.as_deref()).collect();
    let versions: Vec<i64> = cases.iter().map(|case| case.payment.version).collect();
    let wanted: Vec<&str> = cases.iter().map(|case| case.wanted.as_str()).collect();
    let replies: Vec<Option<&str>> = cases.iter().map(|case| case.reply.map(Reply::as_str)).collect();
    let owes_do: Vec<bool> = cases.iter().map(|case| case.owes_do).collect();
    let owes_undo: Vec<bool> = cases.iter().map(|case| case.owes_undo).collect();
    let attempts: Vec<i32> = cases.iter().map(|case| case.attempts).collect();
    sqlx::query!(
        "UPDATE payment.payment SET state = t.state, refunded = t.refunded, provider_reference = t.reference, version = t.version,
           wanted = t.wanted, answer = t.answer, owes_do = t.owes_do, owes_undo = t.owes_undo, attempts = t.attempts
         FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::boolean[],
           $9::boolean[], $10::integer[])
           AS t (order_id, state, refunded, reference, version, wanted, answer, owes_do, owes_undo, attempts)
         WHERE payment.order_id = t.order_id",
        &orders as &[&str],
        &states as &[&str],
        &refunded,
        &references as &[Option<&str>],
        &versions,
        &wanted as &[&str],
        &replies as &[Option<&str>],
        &owes_do,
        &owes_undo,
        &attempts,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The payment of this name.
pub async fn get(pool: &Pool, payment_id: &PaymentId) -> Result<Option<Payment>, Failure> {
    let row = sqlx::query_as!(
        Columns,
        "SELECT payment_id, order_id, user_id, amount, currency, method, state, provider_reference, version, created_at
         FROM payment.payment WHERE payment_id = $1",
        payment_id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(Columns::into_payment))
}

/// The payment of an order.
pub async fn of_order(pool: &Pool, order_id: &OrderId) -> Result<Option<Payment>, Failure> {
    let row = sqlx::query_as!(
        Columns,
        "SELECT payment_id, order_id, user_id, amount, currency, method, state, provider_reference, version, created_at
         FROM payment.payment WHERE order_id = $1",
        order_id.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(Columns::into_payment))
}
