//! What orders ask of promotion, and how they are answered.

use bus::consumer::Effects;
use bus::event::{Event, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::Told;
use bytes::Bytes;
use kit::postgres::Tx;
use prost::Message as _;
use proto::order::v1::CouponRequested;
use proto::promotion::v1::CouponStepAnswered;
use proto::r#type::v1::{StepAnswer, StepKind};

use crate::deal::{OrderId, UserId};
use crate::errand::{self, Desk, Request};
use crate::step::{Answer, Kind, Step};

const REQUESTED: &str = "booster.order.v1.CouponRequested";

/// What the requests of orders do: they are written down, and a worker is woken. One that was answered is answered again.
pub struct Orders(pub Desk);

impl Effects for Orders {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let requests = events.iter().map(|event| request(event)).collect::<Result<Vec<_>, _>>()?;
        errand::take(tx, &self.0, requests).await
    }

    fn wants(&self, kind: &str) -> bool {
        kind == REQUESTED
    }
}

fn request(event: &Event) -> Result<Request, Unreadable> {
    let damaged = |error: prost::DecodeError| Unreadable::new(format!("{}: {error}", event.kind));
    let requested = CouponRequested::decode(event.payload.clone()).map_err(damaged)?;
    let kind = match requested.kind() {
        StepKind::Do => Kind::Do,
        StepKind::Undo => Kind::Undo,
        StepKind::Unspecified => return Err(Unreadable::new("it says neither DO nor UNDO")),
    };
    let order = requested.order.ok_or_else(|| Unreadable::new("the event has no order"))?;
    let order_id = OrderId::parse(&order.order_id).map_err(super::invalid)?;
    let user_id = UserId::parse(&order.user_id).map_err(super::invalid)?;
    let step = Step { order_id, kind, coupon_id: order.coupon_id, user_id };
    Ok(Request { step, traceparent: event.traceparent.clone() })
}

/// What an order is told, as the message that [`errand::ANSWERED`] names.
#[must_use]
pub fn answered(step: &Step, answer: &Answer) -> Bytes {
    let kind = match step.kind {
        Kind::Do => StepKind::Do,
        Kind::Undo => StepKind::Undo,
    };
    let (done, cause, coupon) = match answer {
        Answer::Redeemed(coupon) => (true, "", Some(crate::grpc::coupon(coupon))),
        Answer::Refused(reason) => (false, *reason, None),
        Answer::Undone => (true, "", None),
    };
    let answer = StepAnswer { order_id: step.order_id.to_string(), kind: kind.into(), done, cause: cause.to_owned() };
    CouponStepAnswered { answer: Some(answer), coupon }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use proto::order::v1::Order;

    use super::*;

    fn event(requested: &CouponRequested) -> Event {
        Event {
            id: "id".to_owned(),
            kind: REQUESTED.to_owned(),
            source: "order".to_owned(),
            subject: "o1".to_owned(),
            time: kit::clock::from_millis(0),
            sequence: 2,
            partition_key: "o1".to_owned(),
            traceparent: None,
            payload: requested.encode_to_vec().into(),
        }
    }

    fn requested(order_id: &str, user_id: &str, coupon_id: &str, kind: StepKind) -> CouponRequested {
        let (order_id, user_id, coupon_id) = (order_id.to_owned(), user_id.to_owned(), coupon_id.to_owned());
        let order = Order { order_id, user_id, coupon_id, ..Order::default() };
        CouponRequested { order: Some(order), kind: kind.into(), attempt: 1 }
    }

    #[test]
    fn a_request_is_read_whatever_the_coupon_is_called() {
        for coupon_id in ["lunch-7", "lunch", "", "a b"] {
            let step = request(&event(&requested("o1", "ann", coupon_id, StepKind::Undo))).unwrap().step;
            assert_eq!((step.order_id.as_str(), step.user_id.as_str()), ("o1", "ann"));
            assert_eq!((step.kind, step.coupon_id.as_str()), (Kind::Undo, coupon_id));
        }
    }

    #[test]
    fn a_damaged_request_is_none() {
        for damaged in [
            requested("", "ann", "lunch-7", StepKind::Do),
            requested("o1", "a b", "lunch-7", StepKind::Do),
            requested("o1", "ann", "lunch-7", StepKind::Unspecified),
            CouponRequested { kind: StepKind::Do.into(), ..CouponRequested::default() },
            CouponRequested { kind: 9, ..requested("o1", "ann", "lunch-7", StepKind::Do) },
        ] {
            assert!(request(&event(&damaged)).is_err(), "{damaged:?}");
        }
    }
}
