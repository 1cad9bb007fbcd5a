//! Events: what an order asks becomes a payment that is settled, and what comes of that becomes events.

use bus::consumer::Effects;
use bus::event::{Event, NewEvent, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::{Outbox, Told as Written};
use kit::money::Money;
use kit::postgres::Tx;
use prost::Message as _;
use proto::order::v1 as order;
use proto::payment::v1 as pb;
use proto::r#type::v1 as types;

use crate::payment::{Asked, Kind, OrderId, Payment, Reply, Told, UserId};
use crate::request;
use crate::settle::Bell;

const REQUESTED: &str = "booster.order.v1.PaymentRequested";
const CHANGED: &str = "booster.payment.v1.PaymentChanged";
const ANSWERED: &str = "booster.payment.v1.PaymentStepAnswered";

/// What payment does about what orders ask.
pub struct Requests {
    /// Where answers go that can be given at once.
    pub outbox: Outbox,
    /// Wakes whoever settles.
    pub bell: Bell,
}

impl Effects for Requests {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Written, Failed> {
        let asked = events.iter().map(|event| asked(event)).collect::<Result<Vec<_>, _>>()?;
        let told = request::take(tx, &asked).await?;
        self.bell.ring();
        if told.is_empty() { Ok(Written::nothing()) } else { self.outbox.tell(tx, &events_of(&told)).await }
    }

    fn wants(&self, kind: &str) -> bool {
        kind == REQUESTED
    }
}

fn asked(event: &Event) -> Result<Asked, Unreadable> {
    if event.kind != REQUESTED {
        return Err(Unreadable::new(format!("{} is not a type of event", event.kind)));
    }
    let requested = order::PaymentRequested::decode(event.payload.clone());
    let requested = requested.map_err(|error| Unreadable::new(format!("{}: {error}", event.kind)))?;
    let kind = match requested.kind() {
        types::StepKind::Do => Kind::Do,
        types::StepKind::Undo => Kind::Undo,
        types::StepKind::Unspecified => return Err(Unreadable::new("kind is neither DO nor UNDO")),
    };
    let missing = |what: &str| Unreadable::new(format!("the event has no {what}"));
    let order = requested.order.ok_or_else(|| missing("order"))?;
    let amount = requested.amount.ok_or_else(|| missing("amount"))?;
    let asked = Asked {
        order_id: OrderId::parse(&order.order_id).map_err(invalid)?,
        user_id: UserId::parse(&order.user_id).map_err(invalid)?,
        amount: Money { currency: amount.currency, minor_units: amount.minor_units },
        method: requested.payment_method,
        kind,
    };
    asked.check().map_err(invalid)?;
    // Whatever keeps the order of events, and parks them, goes by the subject.
    if event.subject != asked.order_id.as_str() {
        return Err(Unreadable::new(format!("it is about {}, and asks for {}", event.subject, asked.order_id)));
    }
    Ok(asked)
}

fn invalid(invalid: kit::error::Invalid) -> Unreadable {
    Unreadable::new(invalid.to_string())
}

/// What is told of payments, as events. Those of one order keep their order.
#[must_use]
pub fn events_of(told: &[Told]) -> Vec<NewEvent> {
    let event = |told: &Told| match told {
        Told::Changed(payment) => {
            let changed = pb::PaymentChanged { payment: Some(crate::grpc::payment(payment)) };
            event(CHANGED, payment, changed.encode_to_vec())
        }
        Told::Answered(payment, kind, reply) => {
            let answered = answered(payment, *kind, *reply);
            event(ANSWERED, payment, answered.encode_to_vec())
        }
    };
    told.iter().map(event).collect()
}

fn answered(payment: &Payment, kind: Kind, reply: Option<Reply>) -> pb::PaymentStepAnswered {
    let cause = reply.filter(|reply| *reply != Reply::Done);
    let kind = match kind {
        Kind::Do => types::StepKind::Do,
        Kind::Undo => types::StepKind::Undo,
    };
    let answer = types::StepAnswer {
        order_id: payment.order_id.to_string(),
        kind: kind.into(),
        done: cause.is_none(),
        cause: cause.map_or("", Reply::as_str).to_owned(),
    };
    pb::PaymentStepAnswered { answer: Some(answer), payment: Some(crate::grpc::payment(payment)) }
}

fn event(kind: &str, payment: &Payment, payload: Vec<u8>) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        subject: payment.order_id.to_string(),
        sequence: payment.version,
        partition_key: payment.order_id.to_string(),
        payload: payload.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(change: impl FnOnce(&mut order::PaymentRequested)) -> Event {
        let order = order::Order { order_id: "o".to_owned(), user_id: "u".to_owned(), ..order::Order::default() };
        let mut requested = order::PaymentRequested {
            order: Some(order),
            kind: types::StepKind::Do.into(),
            attempt: 1,
            amount: Some(types::Money { currency: "KRW".to_owned(), minor_units: 100 }),
            payment_method: "sandbox:drop".to_owned(),
        };
        change(&mut requested);
        Event {
            id: "id".to_owned(),
            kind: REQUESTED.to_owned(),
            source: "order".to_owned(),
            subject: "o".to_owned(),
            time: kit::clock::now(),
            sequence: 1,
            partition_key: "o".to_owned(),
            traceparent: None,
            payload: requested.encode_to_vec().into(),
        }
    }

    type Damage = fn(&mut order::PaymentRequested);

    #[test]
    fn a_request_is_read_and_a_damaged_one_is_not() {
        let read = asked(&event(|_| {})).unwrap();
        assert_eq!((read.order_id.as_str(), read.amount.minor_units, read.kind), ("o", 100, Kind::Do));
        let money = |requested: &mut order::PaymentRequested, currency: &str, minor_units| {
            requested.amount = Some(types::Money { currency: currency.to_owned(), minor_units });
        };
        let damages: [(&str, Damage); 7] = [
            ("kind", |requested| requested.kind = 0),
            ("another kind", |requested| requested.kind = 7),
            ("order", |requested| requested.order = None),
            ("amount", |requested| requested.amount = None),
            ("method", |requested| requested.payment_method = "x".repeat(65)),
            ("no method", |requested| requested.payment_method = String::new()),
            ("order id", |requested| requested.order = Some(order::Order::default())),
        ];
        for (what, damage) in damages {
            assert!(asked(&event(damage)).is_err(), "{what}");
        }
        assert!(asked(&event(|requested| money(requested, "KRW", 0))).is_err());
        assert!(asked(&event(|requested| money(requested, "won", 1))).is_err());
        let mut foreign = event(|_| {});
        foreign.kind = "booster.order.v1.OrderPaid".to_owned();
        assert!(asked(&foreign).is_err());
        foreign = event(|_| {});
        foreign.subject = "p".to_owned();
        assert!(asked(&foreign).is_err());
        foreign = event(|_| {});
        foreign.payload = bytes::Bytes::from_static(b"\xff\xff");
        assert!(asked(&foreign).is_err());
    }
}
