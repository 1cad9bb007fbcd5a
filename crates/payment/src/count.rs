//! What no single call can tell: what waits to be settled, and for how long.

use std::time::Duration;

use kit::boot::{Process, Stage};
use kit::postgres::Pool;

use crate::payment::Kind;
use crate::postgres::due;

/// How often it is counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Starts to count and to tell, until told to stop.
pub fn spawn(process: &Process, pool: &Pool) {
    let pool = pool.clone();
    process.spawn(Stage::Work, "metrics", |told| async move {
        told.run_until_cancelled(count(&pool)).await;
        Ok(())
    });
}

async fn count(pool: &Pool) {
    loop {
        match due::waiting(pool).await {
            Ok(waiting) => {
                for wanted in [Kind::Do, Kind::Undo] {
                    let one = waiting.iter().find(|one| one.wanted == wanted);
                    let payments = one.map_or(0, |one| u32::try_from(one.payments).unwrap_or(u32::MAX));
                    let oldest = one.map_or(0.0, |one| one.oldest_seconds);
                    metrics::gauge!("booster_payment_unsettled", "wanted" => wanted.as_str()).set(payments);
                    metrics::gauge!("booster_payment_oldest_seconds", "wanted" => wanted.as_str()).set(oldest);
                }
            }
            // What is away is told by those who need it; the last numbers stay.
            Err(failure) => tracing::debug!(%failure, "payments cannot be counted now"),
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
