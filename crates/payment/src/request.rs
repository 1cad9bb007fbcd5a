//! What orders ask: written down, to be settled; what is settled already is answered at once. Nobody is asked anything here.

use std::collections::{BTreeMap, HashSet};

use bus::event::Unreadable;
use bus::failed::Failed;
use kit::postgres::Tx;

use crate::payment::{Asked, OrderId, Told};
use crate::postgres::{due, payment as rows};

/// Takes requests, in their order, in the transaction of the inbox. What can be told at once.
///
/// # Errors
/// An order asks for another charge than before; or PostgreSQL refuses, or is away.
pub async fn take(tx: &mut Tx, asked: &[Asked]) -> Result<Vec<Told>, Failed> {
    let mut first = BTreeMap::new();
    for one in asked {
        first.entry(&one.order_id).or_insert(one);
    }
    let mut begun = rows::begin(tx, &first.values().copied().collect::<Vec<_>>()).await?;
    if !begun.is_empty() {
        first.retain(|order_id, _| begun.contains(*order_id));
        due::begin(tx, &first.into_values().collect::<Vec<_>>()).await?;
    }
    // The request that has begun a payment is written down with it.
    let others: Vec<&Asked> = asked.iter().filter(|one| !begun.remove(&one.order_id)).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let orders: HashSet<&OrderId> = others.iter().map(|one| &one.order_id).collect();
    let mut cases = rows::lock(tx, &orders.into_iter().collect::<Vec<_>>()).await?;
    let mut told = Vec::new();
    for one in others {
        let Some(case) = cases.get_mut(&one.order_id) else { continue };
        if !case.agrees(one) {
            let order_id = &one.order_id;
            return Err(Unreadable::new(format!("order {order_id} asks for another charge than before")).into());
        }
        told.extend(case.ask(one.kind));
    }
    let cases: Vec<_> = cases.values().collect();
    rows::save(tx, &cases).await?;
    due::save(tx, &cases).await?;
    Ok(told)
}
