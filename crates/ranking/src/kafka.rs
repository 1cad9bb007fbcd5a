//! Events of orders: one that was paid counts, one that is cancelled after that no longer does.

use bus::consumer::Effects;
use bus::event::{Event, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::Told;
use jiff::Timestamp;
use kit::postgres::Tx;
use prost::Message as _;
use proto::order::v1 as pb;

use crate::board::{ItemId, OrderId, is_countable};
use crate::push::Bell;
use crate::record;
use crate::sale::{LINES_MOST, Line, QUANTITY_MOST, Sale};
use crate::zone::Zones;

const PAID: &str = "booster.order.v1.OrderPaid";
const CANCELLED: &str = "booster.order.v1.OrderCancelled";

/// What events of orders do to the sums of ranking.
pub struct Records {
    zones: Zones,
    bell: Bell,
}

impl Records {
    /// Counts by these time zones, and rings the bell of whoever tells Redis.
    #[must_use]
    pub fn new(zones: Zones, bell: Bell) -> Self {
        Self { zones, bell }
    }
}

impl Effects for Records {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let heard = events.iter().filter_map(|event| sale(event, &self.zones).transpose());
        record::sales(tx, heard.collect::<Result<_, _>>()?).await?;
        // It is committed in a moment: whoever is woken looks more than once.
        self.bell.ring();
        Ok(Told::nothing())
    }

    fn wants(&self, kind: &str) -> bool {
        kind == PAID || kind == CANCELLED
    }
}

/// What an event says of a sale; nothing where an order is cancelled that was never paid.
fn sale(event: &Event, zones: &Zones) -> Result<Option<Sale>, Unreadable> {
    let damaged = |error: prost::DecodeError| Unreadable::new(format!("{}: {error}", event.kind));
    let (order, paid) = match event.kind.as_str() {
        PAID => (pb::OrderPaid::decode(event.payload.clone()).map_err(damaged)?.order, true),
        CANCELLED => (pb::OrderCancelled::decode(event.payload.clone()).map_err(damaged)?.order, false),
        other => return Err(Unreadable::new(format!("{other} is not a type of event"))),
    };
    let order = order.ok_or_else(|| Unreadable::new("the event has no order"))?;
    if order.order_id != event.subject {
        // What waits for an order goes by the subject, and would wait for another one.
        return Err(Unreadable::new(format!(
            "the event is about {}, and has the order {}",
            event.subject, order.order_id
        )));
    }
    let Some(paid_at) = order.paid_at else {
        return if paid { Err(Unreadable::new("a paid order says when it was")) } else { Ok(None) };
    };
    if !(1..=LINES_MOST).contains(&order.lines.len()) {
        return Err(Unreadable::new(format!("{} lines are not those of an order", order.lines.len())));
    }
    let paid_at = Timestamp::from_second(paid_at.seconds).map_err(|_| not_an_instant(paid_at.seconds))?;
    let lines = order.lines.iter().map(|line| read_line(line, paid_at, zones)).collect::<Result<_, _>>()?;
    Ok(Some(Sale { order_id: OrderId::parse(&order.order_id).map_err(invalid)?, lines, paid, cancelled: !paid }))
}

fn read_line(line: &pb::OrderLine, paid_at: Timestamp, zones: &Zones) -> Result<Line, Unreadable> {
    if !(1..=QUANTITY_MOST).contains(&line.quantity) {
        return Err(Unreadable::new(format!("a quantity is {}; it is 1 to {QUANTITY_MOST}", line.quantity)));
    }
    let day = zones.day(&line.venue_id, paid_at);
    if !is_countable(day) {
        return Err(not_an_instant(paid_at.as_second()));
    }
    Ok(Line { day, item_id: ItemId::parse(&line.item_id).map_err(invalid)?, quantity: line.quantity })
}

fn not_an_instant(seconds: i64) -> Unreadable {
    Unreadable::new(format!("paid_at {seconds} is not an instant at which an order was paid"))
}

fn invalid(invalid: kit::error::Invalid) -> Unreadable {
    Unreadable::new(invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone;

    /// Midnight in Seoul.
    const MIDNIGHT: i64 = 1_795_705_200;

    fn line(item_id: &str, quantity: i64, venue_id: &str) -> pb::OrderLine {
        let (item_id, venue_id) = (item_id.to_owned(), venue_id.to_owned());
        pb::OrderLine { item_id, quantity, unit_price: None, venue_id }
    }

    fn order(paid_at: Option<i64>, lines: Vec<pb::OrderLine>) -> pb::Order {
        let paid_at = paid_at.map(|seconds| prost_types::Timestamp { seconds, nanos: 999_999_999 });
        pb::Order { order_id: "o1".to_owned(), lines, paid_at, ..pb::Order::default() }
    }

    fn event(kind: &str, order: Option<pb::Order>) -> Event {
        Event {
            id: "1".to_owned(),
            kind: kind.to_owned(),
            source: "order".to_owned(),
            subject: "o1".to_owned(),
            time: kit::clock::now(),
            sequence: 1,
            partition_key: "o1".to_owned(),
            traceparent: None,
            // Both messages have the same one field.
            payload: pb::OrderPaid { order }.encode_to_vec().into(),
        }
    }

    fn read(event: &Event) -> Result<Option<Sale>, Unreadable> {
        let zones = Zones::new(zone::parse(zone::DEFAULT).unwrap(), [zone::parse_venue("paris=Europe/Paris").unwrap()]);
        sale(event, &zones)
    }

    #[test]
    fn a_line_counts_on_the_day_of_its_venue() {
        let lines = vec![line("tea", 2, "seoul"), line("cake", 1, "paris")];
        for (kind, paid) in [(PAID, true), (CANCELLED, false)] {
            let sale = read(&event(kind, Some(order(Some(MIDNIGHT), lines.clone())))).unwrap().unwrap();
            let told = sale.lines.iter().map(|line| (line.day.to_string(), line.item_id.to_string(), line.quantity));
            let expected = [("2026-11-27", "tea", 2), ("2026-11-26", "cake", 1)];
            let expected = expected.map(|(day, item, quantity)| (day.to_owned(), item.to_owned(), quantity));
            assert_eq!(told.collect::<Vec<_>>(), expected);
            assert_eq!((sale.paid, sale.cancelled), (paid, !paid));
        }
    }

    #[test]
    fn who_was_never_paid_sold_nothing() {
        let never = order(None, vec![line("tea", 1, "v")]);
        assert_eq!(read(&event(CANCELLED, Some(never.clone()))).unwrap(), None);
        assert!(read(&event(PAID, Some(never))).is_err());
    }

    #[test]
    fn what_is_damaged_is_no_sale() {
        let right = || vec![line("tea", 1, "v")];
        let other = pb::Order { order_id: "o2".to_owned(), ..order(Some(MIDNIGHT), right()) };
        let damaged = [
            event("booster.order.v1.OrderPlaced", Some(order(Some(MIDNIGHT), right()))),
            event(PAID, None),
            event(PAID, Some(other)),
            event(PAID, Some(order(Some(MIDNIGHT), Vec::new()))),
            event(PAID, Some(order(Some(MIDNIGHT), vec![line("tea", 0, "v")]))),
            event(PAID, Some(order(Some(MIDNIGHT), vec![line("tea", QUANTITY_MOST + 1, "v")]))),
            event(PAID, Some(order(Some(MIDNIGHT), vec![line("a b", 1, "v")]))),
            event(PAID, Some(order(Some(i64::MAX), right()))),
            event(PAID, Some(order(Some(-100_000), right()))),
            Event { payload: bytes::Bytes::from_static(b"\xff"), ..event(PAID, None) },
        ];
        for event in damaged {
            assert!(read(&event).is_err(), "{event:?}");
        }
        assert!(read(&event(PAID, Some(order(Some(MIDNIGHT), right())))).is_ok());
    }
}
