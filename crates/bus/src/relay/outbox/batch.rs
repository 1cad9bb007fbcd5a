//! What is sent at once, and what became of it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::Relay;
use crate::event::Unreadable;
use crate::postgres::outbox::{self, RowId, Unsent};
use crate::postgres::parked::Parked;
use crate::producer::{Producer, Record, acknowledged};
use crate::relay::parking;

/// How long Kafka may acknowledge nothing before somebody else should try who may have a way to it.
const SILENCE: Duration = Duration::from_secs(30);

/// What became of the rows that were sent at once.
#[derive(Default)]
pub(super) struct Batch {
    acknowledged: Vec<RowId>,
    /// The first row of a hash partition that Kafka did not take: what comes behind it is sent again, behind it.
    failed: HashMap<i16, i64>,
    /// Why not everything was sent, if so.
    pub(super) why: Option<anyhow::Error>,
}

impl Batch {
    /// Those that can be noted as sent, by hash partition and id.
    pub(super) fn sent(&self) -> Vec<RowId> {
        let before = |row: &RowId| self.failed.get(&row.slot).is_none_or(|failed| row.id < *failed);
        let mut sent: Vec<_> = self.acknowledged.iter().copied().filter(before).collect();
        sent.sort_by_key(|row| (row.slot, row.id));
        sent
    }

    /// Sends in order, and waits for what was sent. A row that no topic would take is parked; one that Kafka does not take holds
    /// up those of its own hash partition.
    pub(super) async fn deliver(&mut self, relay: &Relay, producer: &Producer, topic: &str, rows: &[Unsent]) {
        let mut deliveries = FuturesUnordered::new();
        for row in rows {
            let place = row.place;
            if self.failed.contains_key(&place.slot) {
                continue;
            }
            match Record::of(&row.event, topic) {
                Ok(record) => match timeout(SILENCE, producer.send(&record)).await.unwrap_or_else(|_| Err(silence())) {
                    Ok(delivery) => deliveries.push(async move { (row, acknowledged(delivery).await) }),
                    Err(error) => self.fail(row, error),
                },
                Err(unreadable) => {
                    if let Err(error) = park(relay, row, &unreadable).await {
                        self.fail(row, error);
                    }
                }
            }
        }
        loop {
            match timeout(SILENCE, deliveries.next()).await {
                Ok(Some((row, Ok(_)))) => self.acknowledged.push(row.place),
                Ok(Some((row, Err(error)))) => self.fail(row, error),
                Ok(None) => return,
                Err(_) => {
                    self.why.get_or_insert_with(silence);
                    return;
                }
            }
        }
    }

    fn fail(&mut self, row: &Unsent, error: anyhow::Error) {
        let RowId { slot, id, .. } = row.place;
        let first = self.failed.entry(slot).or_insert(id);
        *first = id.min(*first);
        self.why.get_or_insert_with(|| error.context(format!("row {id} of the outbox, of {}", row.event.subject)));
    }
}

fn silence() -> anyhow::Error {
    anyhow!("Kafka has acknowledged nothing for {} s", SILENCE.as_secs())
}

/// Parked first, then taken out: whoever dies in between parks it again, which changes nothing.
async fn park(relay: &Relay, row: &Unsent, cause: &Unreadable) -> anyhow::Result<()> {
    let event = &row.event;
    let headers = [("ce_id", &event.id), ("ce_type", &event.kind), ("ce_subject", &event.subject)];
    let headers: serde_json::Map<_, _> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.clone().into())).collect();
    let parked = Parked {
        parking_key: event.id.clone(),
        topic: "outbox".to_owned(),
        // No tag, and no partition of a topic.
        partition: -1,
        offset: row.place.id,
        headers: headers.into(),
        payload: event.payload.to_vec(),
        cause: cause.to_string(),
        attempts: 1,
    };
    if parking::park(&relay.pool, relay.service, &parked).await.context("a row cannot be parked")? {
        let (service, id, cause) = (relay.service, &event.id, &parked.cause);
        tracing::error!(service, id, cause, "a row of the outbox is parked");
    }
    let mut tx = kit::postgres::begin(&relay.pool).await?;
    outbox::take_out(&mut tx, row.place).await?;
    Ok(kit::postgres::commit(tx).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_row_that_failed_is_not_noted_as_sent() {
        let happened_at = time::OffsetDateTime::UNIX_EPOCH;
        let row = |slot, id| RowId { slot, id, happened_at };
        let acknowledged = vec![row(2, 13), row(1, 10), row(2, 11), row(1, 12)];
        let batch = Batch { acknowledged, failed: HashMap::from([(1, 11)]), why: None };
        let sent: Vec<_> = batch.sent().into_iter().map(|row| (row.slot, row.id)).collect();
        assert_eq!(sent, [(1, 10), (2, 11), (2, 13)]);
    }
}
