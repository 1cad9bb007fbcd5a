//! Writing down what came of calls: all that has come back while the last transaction was under way, in one.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use kit::error::Error;
use kit::postgres::Failure;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ALARM_EVERY, Back, Settler, about, pause};
use crate::http::OPEN_FOR;
use crate::payment::{Case, Due, Heard, Kind, OrderId, Refusal, State, Told};
use crate::postgres::{due, payment as rows};

/// Payments in one transaction, at most.
const BATCH: usize = 256;
/// Pauses while PostgreSQL is away: doubled from the first to the last, and jittered.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Writes until nobody calls any more.
pub(super) async fn run(settler: &Settler, told: &CancellationToken, mut heard: mpsc::Receiver<Back>) {
    let mut batch = Vec::with_capacity(BATCH);
    while heard.recv_many(&mut batch, BATCH).await > 0 {
        write(settler, told, &batch).await;
        batch.clear();
    }
}

/// Brings a batch into PostgreSQL, however long it takes, unless told to stop: what is lost then is asked again by the same key. A
/// payment that PostgreSQL refuses is left alone, and is due again when its lease is over.
async fn write(settler: &Settler, told: &CancellationToken, batch: &[Back]) {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1);
    let mut pauses = pauses.with_jitter().without_max_times().build();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match write_once(settler, part).await {
            Ok(()) => {}
            Err(Failed::Refused(failure)) if part.len() == 1 => {
                let order = part.first().map(|back| back.order_id.as_str());
                let cause = format!("{:#}", anyhow::Error::new(failure));
                tracing::error!(order, cause, "what the provider says of a payment cannot be written down");
            }
            Err(Failed::Refused(_)) => {
                let (earlier, later) = part.split_at(part.len() / 2);
                parts.extend([later, earlier]);
            }
            Err(Failed::Away(why)) => {
                tracing::warn!(cause = why, payments = part.len(), "what the provider says has to wait");
                parts.push(part);
                let Some(pause) = pauses.next() else { return };
                if told.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Why a batch is not written.
enum Failed {
    /// PostgreSQL refuses one of its rows.
    Refused(Failure),
    /// It may be written a moment later.
    Away(String),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        if failure.is_bad_row() {
            Self::Refused(failure)
        } else {
            Self::Away(format!("{:#}", anyhow::Error::new(failure)))
        }
    }
}

/// One transaction: what is known is noted, and what has to be told is told.
async fn write_once(settler: &Settler, batch: &[Back]) -> Result<(), Failed> {
    let begun = settler.outbox.begin(&settler.pool).await;
    let mut change = begun.map_err(|error: Error<Refusal>| Failed::Away(error.chain()))?;
    let orders: BTreeSet<&OrderId> = batch.iter().map(|back| &back.order_id).collect();
    let mut cases = rows::lock(&mut change, &orders.into_iter().collect::<Vec<_>>()).await?;
    // An answer counts whenever it comes; that there was none counts only if nothing has happened since the payment was taken.
    let unheard = batch.iter().filter(|back| !matches!(back.heard, Heard::Said(_))).map(|back| &back.order_id);
    let unheard: Vec<&OrderId> = unheard.collect();
    let leases = if unheard.is_empty() { HashMap::new() } else { due::of_orders(&mut change, &unheard).await? };
    let (mut told, mut notes) = (Vec::new(), Notes::default());
    for back in batch {
        let Some(case) = cases.get_mut(&back.order_id) else { continue };
        let is_as_taken = case.due == Due::Kept && leases.get(&back.order_id) == Some(&back.lease);
        told.extend(note(settler, case, (&back.heard, is_as_taken), &mut notes));
    }
    let cases: Vec<&Case> = cases.values().collect();
    rows::save(&mut change, &cases).await?;
    due::save(&mut change, &cases).await?;
    change.commit(&(settler.events)(&told)).await?;
    if cases.iter().any(|case| case.due == Due::In(Duration::ZERO)) {
        settler.bell.ring();
    }
    notes.tell(&told);
    Ok(())
}

/// What has to be said once it is written.
#[derive(Default)]
struct Notes {
    /// Payments that have been asked about in vain so often that somebody should look: how many, and one of them with its last cause.
    alarms: u64,
    example: Option<(String, i32, String)>,
    /// Charges of orders that had wanted them undone, or had been told that there was none.
    late: u64,
}

/// Notes what came of one call. `is_as_taken`: what is wanted has not changed since, and nobody else has called.
fn note(settler: &Settler, case: &mut Case, (heard, is_as_taken): (&Heard, bool), notes: &mut Notes) -> Vec<Told> {
    let most = settler.config.payment_pause_most;
    match heard {
        Heard::Said(said) => {
            let told = case.hear(said, |attempts| pause(attempts, most));
            let is_late = !told.is_empty() && case.payment.state == State::Charged && case.wanted == Kind::Undo;
            notes.late += u64::from(is_late);
            told
        }
        Heard::Nothing(why) if is_as_taken => {
            case.miss(|attempts| pause(attempts, most));
            if case.attempts % ALARM_EVERY == 0 {
                notes.alarms += 1;
                notes.example = Some((case.payment.order_id.to_string(), case.attempts, why.clone()));
            }
            Vec::new()
        }
        Heard::NotNow if is_as_taken => {
            case.postpone(about(OPEN_FOR));
            Vec::new()
        }
        Heard::Nothing(_) | Heard::NotNow => Vec::new(),
    }
}

impl Notes {
    fn tell(self, told: &[Told]) {
        metrics::counter!("booster_payment_alarms_total").increment(self.alarms);
        metrics::counter!("booster_payment_late_charges_total").increment(self.late);
        if let Some((order, attempts, cause)) = self.example {
            let payments = self.alarms;
            tracing::error!(
                payments,
                order,
                attempts,
                cause,
                "the provider has not answered about payments for long; it is asked on"
            );
        }
        for payment in told.iter().filter_map(|told| match told {
            Told::Changed(payment) => Some(payment),
            Told::Answered(..) => None,
        }) {
            metrics::counter!("booster_payments_total", "state" => payment.state.as_str()).increment(1);
        }
    }
}
