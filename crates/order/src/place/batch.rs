//! One batch of orders, from its first transaction until everyone is answered.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bus::event::NewEvent;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kit::error::{Error, Fault};
use kit::postgres::Pool;

use super::Placing;
use super::decide::Shelves;
use crate::order::{Order, Refusal};
use crate::postgres::request::Made;
use crate::postgres::{item, order, request};
use crate::proceed::{Orders, count};
use crate::saga::{self, Event, Say};

/// How often a batch is tried again that PostgreSQL did not take now: what was placed is known by its request.
const AGAIN_MOST: usize = 4;
/// The first pause before that; it doubles, with jitter.
const AGAIN: Duration = Duration::from_millis(20);

/// What becomes of one placing.
#[derive(Clone)]
enum Fate {
    /// It is placed now.
    Placed(Box<Order>),
    /// Its request has placed this order before.
    Before(String),
    /// Its request was something else.
    Reused,
    Refused(Refusal),
}

/// What one transaction came to.
enum Tried {
    /// Of each placing, what became of it.
    Done(Vec<Fate>),
    /// Another process has carried one of the requests out in this very moment.
    Overtaken,
}

/// Places all that can be had, and answers everyone.
pub(super) fn place<'a>(pool: &'a Pool, orders: &'a Orders, batch: Vec<Placing>) -> BoxFuture<'a, ()> {
    async move {
        match settle(pool, orders, &batch).await {
            Ok(fates) => answer(pool, batch, fates).await,
            // One of them PostgreSQL does not take, whoever it is: the others are not to suffer from it.
            Err(Error::Internal(_)) if batch.len() > 1 => {
                for placing in batch {
                    place(pool, orders, vec![placing]).await;
                }
            }
            Err(error) => refuse(batch, error),
        }
    }
    .boxed()
}

/// Tries until the outcome is known, or it is not worth it any more.
async fn settle(pool: &Pool, orders: &Orders, batch: &[Placing]) -> Result<Vec<Fate>, Error<Refusal>> {
    let mut pauses =
        ExponentialBuilder::default().with_min_delay(AGAIN).with_jitter().with_max_times(AGAIN_MOST).build();
    loop {
        let error = match attempt(pool, orders, batch).await {
            Ok(Tried::Done(fates)) => return Ok(fates),
            Ok(Tried::Overtaken) => {
                Error::Unavailable(Fault::new("requests are carried out by several processes at once"))
            }
            Err(error @ Error::Unavailable(_)) => error,
            Err(error) => return Err(error),
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tokio::time::sleep(pause).await;
    }
}

/// One transaction: stock, orders, requests and what tells of them.
async fn attempt(pool: &Pool, orders: &Orders, batch: &[Placing]) -> Result<Tried, Error<Refusal>> {
    let mut change = orders.outbox.begin(pool).await?;
    let ids: Vec<String> = batch.iter().map(|placing| placing.request_id.to_string()).collect();
    let mut known = request::find(&mut change, &ids).await?;
    let items: BTreeSet<String> = batch
        .iter()
        .filter(|placing| !known.contains_key(placing.request_id.as_str()))
        .flat_map(|placing| placing.wish.lines.iter().map(|line| line.item_id.to_string()))
        .collect();
    let shelves = item::shelves(&mut change, &items.into_iter().collect::<Vec<_>>()).await?;
    let mut shelves = Shelves::new(shelves, order::now(&mut change).await?);
    let mut written = Written::default();
    let fates = batch.iter().map(|placing| written.decide(orders, placing, &mut known, &mut shelves)).collect();
    if written.orders.is_empty() {
        return Ok(Tried::Done(fates));
    }
    written.requests.sort_by(|(one, _), (other, _)| one.cmp(other));
    if !request::note(&mut change, &written.requests).await? {
        return Ok(Tried::Overtaken);
    }
    item::sell(&mut change, &shelves.sold).await?;
    order::insert(&mut change, &written.orders).await?;
    change.commit(&written.told).await?;
    Ok(Tried::Done(fates))
}

/// What a transaction writes.
#[derive(Default)]
struct Written {
    orders: Vec<Order>,
    requests: Vec<(String, Made)>,
    told: Vec<NewEvent>,
}

impl Written {
    /// A request comes first, wherever it was carried out: before, or a moment ago in the same batch.
    fn decide(
        &mut self,
        orders: &Orders,
        placing: &Placing,
        known: &mut HashMap<String, Made>,
        shelves: &mut Shelves,
    ) -> Fate {
        let request_id = placing.request_id.to_string();
        if let Some(made) = known.get(&request_id) {
            return if made.digest == placing.digest { Fate::Before(made.made.clone()) } else { Fate::Reused };
        }
        let order = match shelves.take(&placing.wish) {
            Ok(order) => order,
            Err(refusal) => return Fate::Refused(refusal),
        };
        let now = order.created_at;
        let (order, says) = saga::next(order, Event::Placed, now, orders.patience);
        self.told.extend(says.into_iter().map(|say| (orders.tell)(&order, say)));
        let made = Made { digest: placing.digest.clone(), made: order.order_id.to_string() };
        known.insert(request_id.clone(), made.clone());
        self.requests.push((request_id, made));
        self.orders.push(order.clone());
        Fate::Placed(Box::new(order))
    }
}

async fn answer(pool: &Pool, batch: Vec<Placing>, fates: Vec<Fate>) {
    let before = fates.iter().filter_map(|fate| match fate {
        Fate::Before(order_id) => Some(order_id.clone()),
        Fate::Placed(_) | Fate::Reused | Fate::Refused(_) => None,
    });
    let before: Vec<String> = before.collect();
    let found = found(pool, &before).await;
    for (placing, fate) in batch.into_iter().zip(fates) {
        let outcome = match fate {
            Fate::Placed(order) => {
                count(&order, Say::Placed);
                // Whatever costs nothing is paid at once.
                if order.is_sale() {
                    count(&order, Say::Paid);
                }
                Ok(*order)
            }
            Fate::Before(order_id) => match &found {
                Ok(found) => found.get(&order_id).cloned().ok_or_else(|| gone(&order_id)),
                Err(cause) => Err(Error::Unavailable(Fault::new(cause.clone()))),
            },
            Fate::Reused => Err(Error::RequestIdReused),
            Fate::Refused(refusal) => Err(refusal.into()),
        };
        // Whoever asked may be gone: the order is placed all the same, and a repeat is told so.
        let _ = placing.reply.send(outcome);
    }
}

/// Orders that were placed before, as they stand.
async fn found(pool: &Pool, order_ids: &[String]) -> Result<HashMap<String, Order>, String> {
    if order_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = order::many(pool, order_ids).await;
    let found = found.map_err(|failure| format!("{:#}", anyhow::Error::new(failure)))?;
    Ok(found.into_iter().map(|order| (order.order_id.to_string(), order)).collect())
}

/// An order whose request is remembered is there, unless somebody has removed it by hand; or the request has changed stock.
fn gone(order_id: &str) -> Error<Refusal> {
    Error::Internal(Fault::new(format!("the request is remembered, and there is no order {order_id}")))
}

/// Nothing is known of the whole batch but this.
fn refuse(batch: Vec<Placing>, error: Error<Refusal>) {
    let chain = error.chain();
    for placing in batch {
        let error = match &error {
            Error::Overloaded { retry_after } => Error::Overloaded { retry_after: *retry_after },
            Error::Internal(_) => Error::Internal(Fault::new(chain.clone())),
            Error::Refused(_) | Error::Invalid(_) | Error::RequestIdReused | Error::Unavailable(_) => {
                Error::Unavailable(Fault::new(chain.clone()))
            }
        };
        let _ = placing.reply.send(Err(error));
    }
}
