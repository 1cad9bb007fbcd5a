//! Events: a journal entry becomes records of the topic, and a record becomes rows.

use bus::consumer::{Effects, Failed};
use bus::event::{Event, Unreadable};
use bus::journal::Entry;
use kit::postgres::Tx;
use prost::Message as _;
use proto::promotion::v1 as pb;

use crate::coupon::{Coupon, Grant};
use crate::deal::{DealId, Terms, UserId};
use crate::postgres::coupon::Change;
use crate::record;

const CLAIMED: &str = "booster.promotion.v1.CouponClaimed";
/// The version of a coupon that was just issued.
const FIRST: i64 = 1;

/// What a journal entry tells: one event for each coupon.
///
/// # Errors
/// The entry is damaged.
pub fn events(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    match entry.text("kind")? {
        "claimed" => claimed(entry),
        other => Err(Unreadable::new(format!("{other} is not a kind of entry"))),
    }
}

fn claimed(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    let deal_id = DealId::parse(entry.text("deal")?).map_err(invalid)?;
    let terms: Terms =
        serde_json::from_str(entry.text("terms")?).map_err(|error| Unreadable::new(format!("terms: {error}")))?;
    let (claimed_ms, first) = (entry.number("at")?, entry.number("rank")?);
    let users: Vec<&str> = entry.text("users")?.split(',').collect();
    let seats: Vec<&str> = entry.text("seats")?.split(',').collect();
    if users.len() != seats.len() {
        return Err(Unreadable::new(format!("{} users and {} seats", users.len(), seats.len())));
    }
    let traceparent = Some(entry.text("trace")?).filter(|trace| !trace.is_empty()).map(str::to_owned);
    let mut events = Vec::with_capacity(users.len());
    for (index, (user, seat)) in users.into_iter().zip(seats).enumerate() {
        let rank = first + i64::try_from(index).unwrap_or_default();
        let seat = seat.parse().map_err(|_| Unreadable::new(format!("{seat} is not a seat")))?;
        let user_id = UserId::parse(user).map_err(invalid)?;
        let coupon = Coupon::issued(deal_id.clone(), user_id, &terms, Grant { rank, claimed_ms });
        let payload = pb::CouponClaimed { coupon: Some(crate::grpc::coupon(&coupon)), seat };
        events.push(Event {
            id: entry.event_id(crate::SERVICE, index),
            kind: CLAIMED.to_owned(),
            source: crate::SERVICE.to_owned(),
            subject: coupon.id(),
            time: coupon.claimed_at,
            sequence: FIRST,
            partition_key: entry.tag.to_string(),
            traceparent: traceparent.clone(),
            payload: payload.encode_to_vec().into(),
        });
    }
    Ok(events)
}

/// What promotion's own events do to promotion's tables.
pub struct Records;

impl Effects for Records {
    async fn apply(&self, tx: &mut Tx, events: &[Event]) -> Result<(), Failed> {
        let changes = events.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        Ok(record::coupons(tx, changes).await?)
    }
}

fn change(event: &Event) -> Result<Change, Unreadable> {
    if event.kind != CLAIMED {
        return Err(Unreadable::new(format!("{} is not a type of event", event.kind)));
    }
    let claimed = pb::CouponClaimed::decode(event.payload.clone())
        .map_err(|error| Unreadable::new(format!("{CLAIMED}: {error}")))?;
    let coupon = claimed.coupon.ok_or_else(|| Unreadable::new("the event has no coupon"))?;
    let coupon = crate::grpc::coupon_from(coupon).map_err(invalid)?;
    Ok(Change { coupon, seat: claimed.seat, version: event.sequence })
}

fn invalid(invalid: kit::error::Invalid) -> Unreadable {
    Unreadable::new(invalid.to_string())
}
