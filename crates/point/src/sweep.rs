//! Sweeping: what has expired is written off also where nobody does anything with the account, and old requests are forgotten.
//!
//! Several processes may do it at once: the account's lock decides who writes it off, and the other finds nothing.

use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::error::Error;
use tokio::time::Instant;

use crate::apply::{Books, Failed};
use crate::operation::{Asked, Operation};
use crate::postgres::{account, request};
use crate::refusal::Refusal;

/// How often it is looked whether something has expired.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// Accounts in one transaction, and transactions in a row.
const PAGE: i64 = 256;
const PAGES: usize = 64;
/// How often requests are forgotten, and how many with one statement.
const FORGET_EVERY: Duration = Duration::from_secs(60);
const FORGET: i64 = 10_000;

/// Starts to sweep, until told to stop.
pub fn spawn(process: &Process, books: &Books) {
    let books = books.clone();
    process.spawn(Stage::Work, "sweeper", |told| async move {
        let mut forgotten = None::<Instant>;
        while told.run_until_cancelled(tokio::time::sleep(EXPIRE_EVERY)).await.is_some() {
            let mut outcomes = vec![expire(&books).await.map_err(|failed| failed.error())];
            if forgotten.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
                forgotten = Some(Instant::now());
                outcomes.push(forget(&books).await);
            }
            for error in outcomes.into_iter().filter_map(Result::err) {
                tracing::warn!(cause = error.chain(), "what is over cannot be swept away now");
            }
        }
        Ok(())
    });
}

/// Writes off what has expired.
///
/// # Errors
/// PostgreSQL is away, or too much waits for Kafka: what was written off until then stays so.
pub async fn expire(books: &Books) -> Result<(), Failed> {
    for _ in 0..PAGES {
        let due = account::due(&books.pool, PAGE).await.map_err(Failed::Postgres)?;
        let is_last = i64::try_from(due.len()).unwrap_or(i64::MAX) < PAGE;
        let asked: Vec<Asked> =
            due.into_iter().map(|user_id| Asked { operation: Operation::Expire { user_id }, request: None }).collect();
        if !asked.is_empty() {
            books.apply(&asked.iter().collect::<Vec<_>>()).await?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

async fn forget(books: &Books) -> Result<(), Error<Refusal>> {
    let most = u64::try_from(FORGET).unwrap_or(u64::MAX);
    while request::forget(&books.pool, FORGET).await? >= most {}
    Ok(())
}
