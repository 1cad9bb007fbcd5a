//! Settling: the provider is called about what is due, and what it says is written down together with what tells of it.
//!
//! A call is never made inside a transaction. Before it a payment is taken, which keeps others from it for a while; after it a
//! transaction writes what has come of all calls that have come back meanwhile. Whoever dies in between leaves a payment that somebody
//! calls about again, by the same key.

mod pace;
mod ask;
mod write;

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bus::event::NewEvent;
use bus::outbox::Outbox;
use kit::boot::{Process, Stage};
use kit::postgres::Pool;
use rand::RngExt as _;
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc};

use crate::Config;
use crate::http::Till;
use crate::payment::{Heard, OrderId, Told};

/// The first pause after a call that brought no answer; it doubles, with jitter.
const PAUSE: Duration = Duration::from_millis(100);
/// After so many calls in a row without an answer, and each time as many have come again, somebody should look.
const ALARM_EVERY: i32 = 10;

/// Wakes whoever settles: something is due. It may be rung before what is due can be seen. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Something is due, or will be in a moment.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    async fn rung(&self) {
        self.0.notified().await;
    }
}

/// What is needed to settle.
#[derive(Clone)]
pub struct Settler {
    /// Payments.
    pub pool: Pool,
    /// Where is told what has become of them.
    pub outbox: Outbox,
    /// The provider.
    pub till: Till,
    /// Rung when something is due.
    pub bell: Bell,
    /// How events are made of what is told.
    pub events: fn(&[Told]) -> Vec<NewEvent>,
    /// The bounds.
    pub config: Config,
}

/// What came of a call about a payment that was taken.
struct Back {
    order_id: OrderId,
    /// Until when it was taken.
    lease: OffsetDateTime,
    heard: Heard,
}

/// Starts to settle, until told to stop: then what was asked is still heard and written. Several processes may do it at once.
pub fn spawn(process: &Process, settler: Settler) {
    let (back, heard) = mpsc::channel(settler.config.payment_in_flight);
    let asking = settler.clone();
    process.spawn(Stage::Work, "settle: ask", |told| async move {
        ask::run(&asking, &told, back).await;
        Ok(())
    });
    // It ends when the other does.
    process.spawn(Stage::Work, "settle: write", |told| async move {
        write::run(&settler, &told, heard).await;
        Ok(())
    });
}

/// How long to wait after so many calls in a row without an answer.
fn pause(attempts: i32, most: Duration) -> Duration {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_delay(most).with_jitter();
    // All later ones are as long as the longest.
    let before = usize::try_from(attempts.clamp(1, 32) - 1).unwrap_or_default();
    pauses.without_max_times().build().nth(before).unwrap_or(most)
}

/// A time that is not the same for all who wait for the same thing: half of it, and up to as much again.
fn about(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.5..1.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest() {
        let most = Duration::from_secs(10);
        let first = pause(1, most);
        assert!(first >= PAUSE && first <= PAUSE * 2, "{first:?}");
        for attempts in [20, i32::MAX] {
            let late = pause(attempts, most);
            assert!(late >= most && late <= most * 2, "{late:?}");
        }
        assert!(pause(0, most) <= PAUSE * 2);
    }
}
