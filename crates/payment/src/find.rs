//! Looking: one payment, and lists of them.

use kit::error::Error;
use kit::postgres::Pool;

use crate::payment::{OrderId, Payment, PaymentId, Refusal, State, UserId};
use crate::postgres::{list, payment as rows};

/// Payments looked at for one page, at most: where few are in the state asked for, the page is shorter, and the next one goes on.
const LOOKS_MOST: i64 = 10_000;

/// By what a payment is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Its own name.
    Payment(PaymentId),
    /// Its order.
    Order(OrderId),
}

/// Which payments are asked for, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wished {
    /// Of this user only.
    pub user_id: Option<UserId>,
    /// In this state only.
    pub state: Option<State>,
    /// Older than this one only.
    pub after: Option<PaymentId>,
    /// How many, at most.
    pub size: i64,
}

/// One page.
#[derive(Debug)]
pub struct Listed {
    /// What is on it.
    pub found: Vec<Payment>,
    /// After which one the next page begins; none where this was the last.
    pub next: Option<PaymentId>,
}

/// A payment as it stands.
///
/// # Errors
/// [`Refusal::PaymentNotFound`]; [`Error::Unavailable`] where PostgreSQL is away.
pub async fn payment(pool: &Pool, by: &By) -> Result<Payment, Error<Refusal>> {
    let found = match by {
        By::Payment(payment_id) => rows::get(pool, payment_id).await?,
        By::Order(order_id) => rows::of_order(pool, order_id).await?,
    };
    Ok(found.ok_or(Refusal::PaymentNotFound)?)
}

/// One page of payments.
///
/// # Errors
/// [`Error::Unavailable`] where PostgreSQL is away.
pub async fn payments(pool: &Pool, wished: Wished) -> Result<Listed, Error<Refusal>> {
    let Wished { user_id, state, after, size } = wished;
    // One more than is needed tells whether there is another page.
    let page = list::Page { user_id, state, after, limit: size + 1, looks: LOOKS_MOST };
    let mut found = list::page(pool, &page).await?;
    let size = usize::try_from(size).unwrap_or_default();
    let next = if found.len() > size {
        found.truncate(size);
        found.last().map(|payment| payment.payment_id.clone())
    } else {
        list::last_looked(pool, &page).await?
    };
    Ok(Listed { found, next })
}
