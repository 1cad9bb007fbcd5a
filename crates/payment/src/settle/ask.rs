//! Taking what is due, and calling the provider about it: as much at once as the bounds allow.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::pace::Pace;
use super::{Back, Settler};
use crate::http::{PROBES, Standing};
use crate::payment::Heard;
use crate::postgres::due::{self, Taken};

/// How often it is looked whether something is due of which nobody rang, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_MOST: Duration = Duration::from_millis(5);
/// How much longer than a call a payment is taken for: until what came of it is written.
const WRITING: Duration = Duration::from_secs(2);
/// How many calls may repeat others: a fifth of those that were answered in the last ten seconds, and so many a second in any case.
const REPEATS: (Duration, u32, f32) = (Duration::from_secs(10), 20, 0.2);

/// Takes and calls until told to stop; then waits for what is on its way.
pub(super) async fn run(settler: &Settler, told: &CancellationToken, back: mpsc::Sender<Back>) {
    let (lasting, least, share) = REPEATS;
    let mut asking = Asking {
        settler,
        calls: FuturesUnordered::new(),
        pace: Pace::new(settler.config.payment_rate, Instant::now()),
        budget: TpsBudget::new(lasting, least, share),
        pause: LOOK_MOST,
    };
    let mut look_at = Instant::now();
    while !told.is_cancelled() {
        if Instant::now() >= look_at {
            look_at = Instant::now() + asking.look().await;
        }
        tokio::select! {
            Some(one) = asking.calls.next() => {
                if !asking.hear(one, &back).await {
                    return;
                }
                // There may be room again.
                look_at = look_at.min(Instant::now() + asking.pause);
            }
            () = settler.bell.rung() => {
                // What is due may not be seen yet: it is looked again soon, and then later and later.
                asking.pause = LOOK_MOST;
                look_at = look_at.min(Instant::now() + LOOK_MOST);
            }
            () = tokio::time::sleep_until(look_at.into()) => {}
            () = told.cancelled() => {}
        }
    }
    while let Some(one) = asking.calls.next().await {
        asking.hear(one, &back).await;
    }
}

struct Asking<'a> {
    settler: &'a Settler,
    /// On their way: no more than the bulkhead holds.
    calls: FuturesUnordered<BoxFuture<'a, Back>>,
    pace: Pace,
    budget: TpsBudget,
    /// Until the next look.
    pause: Duration,
}

impl Asking<'_> {
    /// Takes what is due, as far as there is room, and begins to call. How long to wait until the next look.
    async fn look(&mut self) -> Duration {
        let room = self.room();
        if room == 0 {
            return LOOK_MOST;
        }
        let lease = self.settler.config.payment_timeout + WRITING;
        let taken = match due::take(&self.settler.pool, i64::try_from(room).unwrap_or(i64::MAX), lease).await {
            Ok(taken) => taken,
            Err(failure) => {
                let cause = format!("{:#}", anyhow::Error::new(failure));
                tracing::warn!(cause, "what is to be settled cannot be read now");
                return LOOK_EVERY;
            }
        };
        self.pace.used(taken.len());
        self.pause = if taken.is_empty() { (self.pause * 2).min(LOOK_EVERY) } else { LOOK_MOST };
        for one in taken {
            self.begin(one);
        }
        self.note();
        self.pause
    }

    /// How many calls may be begun now.
    fn room(&mut self) -> usize {
        let standing = self.settler.till.breaker().standing();
        let paced = self.pace.room(Instant::now(), standing == Standing::Closed);
        let most = match standing {
            Standing::Closed => self.settler.config.payment_in_flight,
            Standing::Trying => PROBES.min(self.settler.config.payment_in_flight),
            Standing::Open => 0,
        };
        most.saturating_sub(self.calls.len()).min(paced)
    }

    fn begin(&mut self, taken: Taken) {
        let Taken { call, attempts, lease } = taken;
        let order_id = call.order_id.clone();
        if attempts > 0 && !self.budget.withdraw() {
            let back = Back { order_id, lease, heard: Heard::NotNow };
            self.calls.push(Box::pin(std::future::ready(back)));
            return;
        }
        let till = &self.settler.till;
        self.calls.push(Box::pin(async move { Back { heard: till.call(&call).await, order_id, lease } }));
    }

    /// Hands on what came of a call. False where nobody takes it any more.
    async fn hear(&mut self, one: Back, back: &mpsc::Sender<Back>) -> bool {
        if matches!(one.heard, Heard::Said(_)) {
            self.budget.deposit();
        }
        self.note();
        back.send(one).await.is_ok()
    }

    fn note(&self) {
        metrics::gauge!("booster_payment_in_flight").set(u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
    }
}
