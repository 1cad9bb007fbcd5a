//! Events: a journal entry becomes records of the topic, and a record becomes rows.

mod orders;

use bus::consumer::Effects;
use bus::event::{Event, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::journal::Entry;
use bus::outbox::Told;
use kit::postgres::Tx;
use prost::Message as _;
use proto::promotion::v1 as pb;

use crate::coupon::{Coupon, Grant};
use crate::deal::{DealId, OrderId, Terms, UserId};
use crate::postgres::coupon::Change;
use crate::{errand, record};

pub use orders::{Orders, answered};

const CLAIMED: &str = "booster.promotion.v1.CouponClaimed";
const REDEEMED: &str = "booster.promotion.v1.CouponRedeemed";
const RESTORED: &str = "booster.promotion.v1.CouponRestored";
const RETURNED: &str = "booster.promotion.v1.CouponReturned";
/// The first millisecond of the year 9000, which leaves room for what is valid for some years.
const INSTANT_MOST: i64 = 221_845_392_000_000;
/// The version of a coupon that was just issued.
const FIRST: i64 = 1;
/// The version of a coupon that was given back, where the entry does not say: by a function of before, which knew of no orders.
const SECOND: i64 = 2;

/// What a journal entry tells: one event for each coupon.
///
/// # Errors
/// The entry is damaged.
pub fn events(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    match entry.text("kind")? {
        "claimed" => claimed(entry),
        kind @ ("redeemed" | "restored" | "returned") => Ok(vec![changed(entry, kind)?]),
        other => Err(Unreadable::new(format!("{other} is not a kind of entry"))),
    }
}

fn claimed(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    let (deal_id, terms) = deal(entry)?;
    let (claimed_ms, first) = (instant(entry, "at")?, entry.number("rank")?);
    let users: Vec<&str> = entry.text("users")?.split(',').collect();
    let seats: Vec<&str> = entry.text("seats")?.split(',').collect();
    if users.len() != seats.len() {
        return Err(Unreadable::new(format!("{} users and {} seats", users.len(), seats.len())));
    }
    let mut events = Vec::with_capacity(users.len());
    for (index, (user, seat)) in users.into_iter().zip(seats).enumerate() {
        let rank = first + i64::try_from(index).unwrap_or_default();
        let seat = seat.parse().map_err(|_| Unreadable::new(format!("{seat} is not a seat")))?;
        let user_id = UserId::parse(user).map_err(invalid)?;
        let coupon = Coupon::issued(deal_id.clone(), user_id, &terms, Grant { rank, claimed_ms });
        let payload = pb::CouponClaimed { coupon: Some(crate::grpc::coupon(&coupon)), seat };
        events.push(event(entry, index, (CLAIMED, FIRST), &coupon, payload.encode_to_vec())?);
    }
    Ok(events)
}

/// What became of one coupon after it was issued.
fn changed(entry: &Entry, kind: &str) -> Result<Event, Unreadable> {
    let (deal_id, terms) = deal(entry)?;
    let user_id = UserId::parse(entry.text("user")?).map_err(invalid)?;
    let grant = Grant { rank: entry.number("rank")?, claimed_ms: instant(entry, "claimed")? };
    let issued = Coupon::issued(deal_id, user_id, &terms, grant);
    let seat = entry.number("seat")?;
    let version = if entry.fields.contains_key("version") { entry.number("version")? } else { SECOND };
    let (kind, coupon, payload) = match kind {
        "redeemed" => {
            let coupon = issued.redeemed(order(entry)?);
            let payload = pb::CouponRedeemed { coupon: Some(crate::grpc::coupon(&coupon)), seat };
            (REDEEMED, coupon, payload.encode_to_vec())
        }
        "restored" => {
            let order_id = order(entry)?;
            let payload = pb::CouponRestored { coupon: Some(crate::grpc::coupon(&issued)), seat, order_id };
            (RESTORED, issued, payload.encode_to_vec())
        }
        _ => {
            let coupon = issued.returned();
            let payload = pb::CouponReturned { coupon: Some(crate::grpc::coupon(&coupon)), seat };
            (RETURNED, coupon, payload.encode_to_vec())
        }
    };
    event(entry, 0, (kind, version), &coupon, payload)
}

fn order(entry: &Entry) -> Result<String, Unreadable> {
    Ok(OrderId::parse(entry.text("order")?).map_err(invalid)?.to_string())
}

fn deal(entry: &Entry) -> Result<(DealId, Terms), Unreadable> {
    let deal_id = DealId::parse(entry.text("deal")?).map_err(invalid)?;
    let terms = serde_json::from_str(entry.text("terms")?);
    Ok((deal_id, terms.map_err(|error| Unreadable::new(format!("terms: {error}")))?))
}

/// An instant of an entry, in milliseconds. One that no Redis can have given is damage: it could not even be written down.
fn instant(entry: &Entry, name: &str) -> Result<i64, Unreadable> {
    let ms = entry.number(name)?;
    if (0..INSTANT_MOST).contains(&ms) {
        Ok(ms)
    } else {
        Err(Unreadable::new(format!("{name} {ms} is not an instant")))
    }
}

fn event(
    entry: &Entry,
    index: usize,
    (kind, sequence): (&str, i64),
    coupon: &Coupon,
    payload: Vec<u8>,
) -> Result<Event, Unreadable> {
    Ok(Event {
        id: entry.event_id(crate::SERVICE, index),
        kind: kind.to_owned(),
        source: crate::SERVICE.to_owned(),
        subject: coupon.id(),
        time: kit::clock::from_millis(instant(entry, "at")?),
        sequence,
        partition_key: entry.tag.to_string(),
        traceparent: Some(entry.text("trace")?).filter(|trace| !trace.is_empty()).map(str::to_owned),
        payload: payload.into(),
    })
}

/// What promotion's own events do to promotion's tables.
pub struct Records;

impl Effects for Records {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let changes = events.iter().map(|event| change(event)).collect::<Result<Vec<_>, _>>()?;
        record::coupons(tx, changes).await?;
        Ok(Told::nothing())
    }

    /// What orders are told is no business of the coupons. A type that nobody knows is, and is parked.
    fn wants(&self, kind: &str) -> bool {
        kind != errand::ANSWERED
    }
}

fn change(event: &Event) -> Result<Change, Unreadable> {
    let damaged = |error: prost::DecodeError| Unreadable::new(format!("{}: {error}", event.kind));
    let (coupon, seat) = match event.kind.as_str() {
        CLAIMED => {
            let claimed = pb::CouponClaimed::decode(event.payload.clone()).map_err(damaged)?;
            (claimed.coupon, claimed.seat)
        }
        REDEEMED => {
            let redeemed = pb::CouponRedeemed::decode(event.payload.clone()).map_err(damaged)?;
            (redeemed.coupon, redeemed.seat)
        }
        RESTORED => {
            let restored = pb::CouponRestored::decode(event.payload.clone()).map_err(damaged)?;
            (restored.coupon, restored.seat)
        }
        RETURNED => {
            let returned = pb::CouponReturned::decode(event.payload.clone()).map_err(damaged)?;
            (returned.coupon, returned.seat)
        }
        other => return Err(Unreadable::new(format!("{other} is not a type of event"))),
    };
    let coupon = coupon.ok_or_else(|| Unreadable::new("the event has no coupon"))?;
    let coupon = crate::grpc::coupon_from(coupon).map_err(invalid)?;
    Ok(Change { coupon, seat, version: event.sequence, inferred: false })
}

fn invalid(invalid: kit::error::Invalid) -> Unreadable {
    Unreadable::new(invalid.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bus::journal::{EntryId, Position, Tag};

    use super::*;

    fn entry(changed: &[(&str, &str)]) -> Entry {
        let terms = r#"{"venue_id":"v","prize":{"discount":{"off":{"percent":10},"max_amount":null,"min_order":null,"valid_for_seconds":60}}}"#;
        let fields = [
            ("kind", "claimed"),
            ("deal", "lunch"),
            ("at", "1700000000000"),
            ("rank", "7"),
            ("users", "ann,bob"),
            ("seats", "3,8"),
            ("terms", terms),
            ("trace", ""),
        ];
        let mut fields: HashMap<String, bytes::Bytes> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect();
        for (name, value) in changed {
            fields.insert((*name).to_owned(), (*value).to_owned().into());
        }
        let position = Position { epoch: 2, entry: EntryId { ms: 5, seq: 6 } };
        Entry { tag: Tag::new(4).unwrap(), position, fields }
    }

    #[test]
    fn an_entry_tells_one_event_for_each_coupon_and_the_event_the_row() {
        let events = events(&entry(&[])).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].id, "promotion/4/2/5-6/1");
        assert_eq!(events[1].subject, "lunch-8");
        assert_eq!(events[1].partition_key, "4");
        let change = change(&events[1]).unwrap();
        assert_eq!((change.coupon.rank, change.seat, change.version), (8, 8, 1));
        assert_eq!(change.coupon.user_id.as_str(), "bob");
        assert_eq!(change.coupon.claimed_at, kit::clock::from_millis(1_700_000_000_000));
        assert_eq!(change.coupon.expires_at, Some(kit::clock::from_millis(1_700_000_060_000)));
    }

    #[test]
    fn a_damaged_entry_is_not_an_event() {
        let damages = [
            ("kind", "eaten"),
            ("at", "-9000000000000000"),
            ("at", "9223372036854775807"),
            ("seats", "3"),
            ("users", "a b,c"),
            ("rank", "x"),
            ("terms", "{"),
            ("deal", ""),
        ];
        for damage in damages {
            assert!(events(&entry(&[damage])).is_err(), "{damage:?}");
        }
    }

    #[test]
    fn a_foreign_or_damaged_event_is_not_a_row() {
        let mut event = events(&entry(&[])).unwrap().remove(0);
        event.payload = bytes::Bytes::from_static(b"\xff\xff");
        assert!(change(&event).is_err());
        event.payload = bytes::Bytes::new();
        assert!(change(&event).is_err());
        event.kind = "booster.order.v1.OrderPaid".to_owned();
        assert!(change(&event).is_err());
    }
}
