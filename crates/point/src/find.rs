//! Looking: a balance, now or at an instant of the past, and entries.

use kit::error::{Error, Invalid};
use kit::postgres::Pool;
use time::OffsetDateTime;

use crate::account::{Account, Balance, UserId};
use crate::entry::Entry;
use crate::postgres::{balance as balances, entry as rows};
use crate::refusal::Refusal;

/// One page of entries.
#[derive(Debug)]
pub struct Listed {
    /// What is on it.
    pub found: Vec<Entry>,
    /// Below which number the next one begins; none where this was the last.
    pub next: Option<i64>,
}

/// The balance of a user, now or at an instant of the past. Who has no account has 0.
///
/// # Errors
/// [`Error::Invalid`]: the instant is none of the past. [`Error::Unavailable`]: PostgreSQL is away.
pub async fn balance(pool: &Pool, user_id: &UserId, at: Option<OffsetDateTime>) -> Result<Balance, Error<Refusal>> {
    let found = match at {
        None => balances::now(pool, user_id).await?,
        Some(at) if at > kit::clock::now() => return Err(Invalid::new("at", "is in the future").into()),
        Some(at) => balances::at(pool, user_id, at).await?,
    };
    Ok(found.unwrap_or_else(|| Account::new(user_id.clone()).standing(kit::clock::now())))
}

/// One page of a user's entries, newest first.
///
/// # Errors
/// [`Error::Unavailable`]: PostgreSQL is away.
pub async fn entries(pool: &Pool, user_id: &UserId, below: Option<i64>, size: usize) -> Result<Listed, Error<Refusal>> {
    // One more than is needed tells whether there is another page.
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let mut found = rows::page(pool, user_id, below, limit).await?;
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(|entry| entry.nth);
    Ok(Listed { found, next })
}
