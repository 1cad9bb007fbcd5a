//! What happens to orders: each event goes through the saga, and what comes of it is written in one transaction with what tells of it.

use std::collections::{BTreeMap, HashMap};

use bus::event::NewEvent;
use bus::outbox::{Change, Outbox};
use kit::error::Error;
use kit::postgres::{Failure, Pool, Tx};
use time::OffsetDateTime;

use crate::order::{Order, OrderId, Reason, Refusal};
use crate::postgres::{item, order};
use crate::saga::{self, Event, Kind, Patience, Say};

/// After so many askings in vain an operator should look at an undo.
const ALARM_AFTER: i32 = 10;

/// What the verbs of this service work with.
#[derive(Clone)]
pub struct Orders {
    /// Where it is told what becomes of them.
    pub outbox: Outbox,
    /// How long participants are waited for.
    pub patience: Patience,
    /// The event by which something is said of an order as it stands.
    pub tell: fn(&Order, Say) -> NewEvent,
}

/// What has come of events.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The orders that have changed, as they stand.
    pub changed: Vec<Order>,
    /// What is to be told of it.
    pub told: Vec<NewEvent>,
    /// What is sold of each item by it: below zero, because it is only given back.
    sold: BTreeMap<String, i64>,
}

impl Orders {
    /// Begins a transaction, and locks one order in it.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`]; [`Error::Overloaded`] where too much waits for Kafka.
    pub async fn take(&self, pool: &Pool, order_id: &OrderId) -> Result<(Change, Order), Error<Refusal>> {
        let mut change = self.outbox.begin(pool).await?;
        let order = order::lock(&mut change, &[order_id.to_string()]).await?.pop();
        Ok((change, order.ok_or(Refusal::OrderNotFound)?))
    }

    /// One event happens to an order that was taken: written, told and committed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it may or may not have happened.
    pub async fn commit(&self, mut change: Change, order: Order, event: Event) -> Result<Order, Error<Refusal>> {
        let order_id = order.order_id.to_string();
        let Outcome { mut changed, told, .. } =
            self.proceed(&mut change, vec![order.clone()], vec![(order_id, event)]).await?;
        change.commit(&told).await?;
        Ok(changed.pop().unwrap_or(order))
    }

    /// Lets events happen to orders that are locked in `tx`, in their order, and writes what has become of them; to tell of it is for
    /// the caller. Events of orders that are not among these are passed over.
    ///
    /// # Errors
    /// PostgreSQL is away, or refuses: it is the last judge.
    pub async fn proceed(
        &self,
        tx: &mut Tx,
        locked: Vec<Order>,
        events: Vec<(String, Event)>,
    ) -> Result<Outcome, Failure> {
        let now = order::now(tx).await?;
        let outcome = self.happen(locked, events, now);
        if outcome.changed.is_empty() {
            return Ok(outcome);
        }
        order::update(tx, &outcome.changed).await?;
        if !outcome.sold.is_empty() {
            item::sell(tx, &outcome.sold).await?;
        }
        Ok(outcome)
    }

    fn happen(&self, locked: Vec<Order>, events: Vec<(String, Event)>, now: OffsetDateTime) -> Outcome {
        let mut orders: HashMap<String, (Order, i64)> = HashMap::new();
        for order in locked {
            let version = order.version;
            orders.insert(order.order_id.to_string(), (order, version));
        }
        let (mut told, mut sold) = (Vec::new(), BTreeMap::new());
        for (order_id, event) in events {
            let Some((order, version)) = orders.remove(&order_id) else {
                tracing::warn!(order = order_id, ?event, "an answer to an order that does not exist is passed over");
                continue;
            };
            let (order, says) = saga::next(order, event, now, self.patience);
            for say in says {
                count(&order, say);
                if matches!(say, Say::Cancelled | Say::Failed) {
                    for line in &order.lines {
                        *sold.entry(line.item_id.clone()).or_default() -= line.quantity;
                    }
                }
                told.push((self.tell)(&order, say));
            }
            orders.insert(order_id, (order, version));
        }
        let changed = orders.into_values().filter(|(order, before)| order.version > *before);
        let mut changed: Vec<Order> = changed.map(|(order, _)| order).collect();
        changed.sort_by(|one, other| one.order_id.cmp(&other.order_id));
        Outcome { changed, told, sold }
    }
}

/// What an operator sees of it.
pub(crate) fn count(order: &Order, say: Say) {
    match say {
        Say::Placed => metrics::counter!("booster_orders_placed_total").increment(1),
        Say::Paid => end("PAID", order),
        Say::Cancelled | Say::Failed => end(order.reason.map_or("", Reason::as_str), order),
        Say::Advanced => {}
        Say::Ask(_, _, 1) => {}
        Say::Ask(step, kind, attempt) => {
            metrics::counter!("booster_order_steps_asked_again_total").increment(1);
            if kind == Kind::Undo && attempt % ALARM_AFTER == 0 {
                let (order, state) = (order.order_id.as_str(), order.state.as_str());
                tracing::error!(order, state, ?step, attempt, "an undo was asked for many times, and is not answered");
            }
        }
    }
}

/// Ends are counted by what they are, and timed from the placing on.
fn end(end: &'static str, order: &Order) {
    metrics::counter!("booster_orders_ended_total", "end" => end).increment(1);
    let took = (kit::clock::now() - order.created_at).as_seconds_f64();
    metrics::histogram!("booster_order_saga_seconds").record(took.max(0.0));
}
