//! Errands of orders: redeem a coupon, or take it back. The request is written down and answered later, because Redis decides, and is
//! never asked inside a transaction. A worker takes up what is due, asks Redis, and stores the answers of all that have come back in
//! one transaction with the events that tell of them.
//!
//! Each is carried out at least once and answered once; whoever asks again is given the same answer again. Whoever dies in between
//! leaves a row that is due again soon, and the verbs may be repeated.

mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use bus::event::NewEvent;
use bus::failed::Failed;
use bus::journal::Tag;
use bus::outbox::{Outbox, Told};
use bytes::Bytes;
use kit::postgres::{Failure, Tx};
use tokio::sync::Notify;

pub use worker::{Worker, spawn};

use crate::coupon;
use crate::deal::OrderId;
use crate::postgres::errand::{self as rows, Row};
use crate::step::Step;

/// The type of the event that answers.
pub const ANSWERED: &str = "booster.promotion.v1.CouponStepAnswered";

/// Where requests come in, and answers go out. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// What is answered goes out by it.
    pub outbox: Outbox,
    /// Wakes the worker of this process.
    bell: Arc<Notify>,
}

/// A step that an order has asked for, and what it is asked for, if anybody traces that.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for.
    pub step: Step,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// Writes requests down, in the transaction of the inbox; what was answered before is answered again. Several requests for the same
/// step are one errand, and all who ask before it is answered are answered by one event.
///
/// # Errors
/// PostgreSQL refuses a row, or is away; too much waits for Kafka.
pub async fn take(tx: &mut Tx, desk: &Desk, requests: Vec<Request>) -> Result<Told, Failed> {
    let known = lock(tx, requests.iter().map(|request| &request.step.order_id)).await?;
    let (mut new, mut again) = (Vec::new(), Vec::new());
    for Request { step, traceparent } in requests {
        match known.row(&step).map(|row| row.answer.clone()) {
            None => new.push((step, traceparent)),
            Some(Some(answer)) => again.push((step, answer)),
            Some(None) => {}
        }
    }
    rows::insert(tx, &new).await?;
    let told = if again.is_empty() {
        Told::nothing()
    } else {
        rows::count_told(tx, again.iter().map(|(step, _)| step)).await?;
        desk.outbox.tell(tx, &known.events(&again)).await?
    };
    Ok(if new.is_empty() { told } else { told.waking(&desk.bell) })
}

/// All errands of some orders, locked: until the transaction ends nobody else answers these orders.
struct Known(HashMap<String, Vec<Row>>);

async fn lock(tx: &mut Tx, orders: impl Iterator<Item = &OrderId>) -> Result<Known, Failure> {
    let orders: Vec<String> = orders.map(ToString::to_string).collect();
    let mut known: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows::lock(tx, &orders).await? {
        known.entry(row.order_id.clone()).or_default().push(row);
    }
    Ok(Known(known))
}

impl Known {
    fn row(&self, step: &Step) -> Option<&Row> {
        self.0.get(step.order_id.as_str())?.iter().find(|row| row.kind == step.kind)
    }

    /// What tells of these answers: the number of an event is that of the answer to its order.
    fn events(&self, answers: &[(Step, Bytes)]) -> Vec<NewEvent> {
        let before = |order| self.0.get(order).into_iter().flatten().map(|row| row.told).sum::<i64>();
        let (mut numbers, mut events) = (HashMap::new(), Vec::with_capacity(answers.len()));
        for (step, answer) in answers {
            let order = step.order_id.as_str();
            let number = numbers.entry(order).or_insert_with(|| before(order));
            *number += 1;
            events.push(event(step, *number, answer.clone()));
        }
        events
    }
}

/// The partition is that of the deal, as for everything that promotion tells; what keeps the answers to one order in order is the lock
/// of its rows.
fn event(step: &Step, sequence: i64, payload: Bytes) -> NewEvent {
    let deal = coupon::parse_id(&step.coupon_id).map(|(deal_id, _)| deal_id.to_string());
    NewEvent {
        kind: ANSWERED.to_owned(),
        subject: step.order_id.to_string(),
        sequence,
        // A coupon that is none belongs to no deal: any partition will do, as long as it is always the same.
        partition_key: Tag::of(&deal.unwrap_or_else(|_| step.coupon_id.clone())).to_string(),
        payload,
    }
}
