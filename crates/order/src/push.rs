//! Timers: an order whose participant is silent for long is found by its row, and pushed on. And requests of yesterday are forgotten.

use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::error::Error;
use kit::postgres::Pool;
use tokio::time::Instant;

use crate::order::Refusal;
use crate::postgres::{order, request};
use crate::proceed::Orders;
use crate::saga::Event;

/// How often it is looked whose timer is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Orders pushed in one transaction.
const PAGE: i64 = 200;
/// How often old requests are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Starts to push. Several processes may do it at once: no two take the same order.
pub fn spawn(process: &Process, pool: &Pool, orders: &Orders) {
    let (pool, orders) = (pool.clone(), orders.clone());
    process.spawn(Stage::Work, "timers", |told| async move {
        let mut forgotten = None::<Instant>;
        while told.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(error) = push_all(&pool, &orders).await {
                tracing::warn!(cause = error.chain(), "orders cannot be pushed on now");
            }
            if forgotten.is_none_or(|forgotten| forgotten.elapsed() > FORGET_EVERY) {
                match request::forget(&pool).await {
                    Ok(_) => forgotten = Some(Instant::now()),
                    Err(failure) => {
                        let cause = format!("{:#}", anyhow::Error::new(failure));
                        tracing::warn!(cause, "old requests cannot be forgotten now");
                    }
                }
            }
        }
        Ok(())
    });
}

/// Pushes until nothing is due any more.
async fn push_all(pool: &Pool, orders: &Orders) -> Result<(), Error<Refusal>> {
    while push(pool, orders).await? == PAGE {}
    Ok(())
}

/// Pushes one page of orders. How many it were.
async fn push(pool: &Pool, orders: &Orders) -> Result<i64, Error<Refusal>> {
    let mut change = orders.outbox.begin(pool).await?;
    let locked = order::lock_due(&mut change, PAGE).await?;
    let number = i64::try_from(locked.len()).unwrap_or_default();
    if number == 0 {
        return Ok(0);
    }
    let events = locked.iter().map(|order| (order.order_id.to_string(), Event::Due)).collect();
    let outcome = orders.proceed(&mut change, locked, events).await?;
    change.commit(&outcome.told).await?;
    Ok(number)
}
