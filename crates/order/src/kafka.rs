//! Events: what is said of an order becomes an event, and the answers of participants happen to orders.

use std::collections::BTreeSet;

use bus::consumer::Effects;
use bus::event::{Event, NewEvent, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::Told;
use kit::postgres::Tx;
use prost::Message as _;
use proto::order::v1 as pb;
use proto::r#type::v1::{StepAnswer, StepKind};

use crate::grpc;
use crate::order::Order;
use crate::postgres::order;
use crate::proceed::Orders;
use crate::saga::{self, Kind, Say, Step};

const COUPON_ANSWERED: &str = "booster.promotion.v1.CouponStepAnswered";
const HOLD_ANSWERED: &str = "booster.reservation.v1.HoldStepAnswered";
const POINTS_ANSWERED: &str = "booster.point.v1.PointsStepAnswered";
const PAYMENT_ANSWERED: &str = "booster.payment.v1.PaymentStepAnswered";
/// The longest cause that is kept, in characters.
const CAUSE_LONGEST: usize = 100;

/// The services that answer.
const PARTICIPANTS: [&str; 3] = ["promotion", "point", "payment"];
/// Who answers for holds, where somebody does.
const HOLDER: &str = "reservation";

/// The topics that answers come over.
#[must_use]
pub fn topics(holds: bool) -> Vec<String> {
    PARTICIPANTS.into_iter().chain(holds.then_some(HOLDER)).map(bus::topic::name).collect()
}

/// The event by which something is said of an order as it stands.
#[must_use]
pub fn tell(order: &Order, say: Say) -> NewEvent {
    let whole = Some(grpc::order(order));
    let (kind, payload) = match say {
        Say::Placed => ("OrderPlaced", pb::OrderPlaced { order: whole }.encode_to_vec()),
        Say::Paid => ("OrderPaid", pb::OrderPaid { order: whole }.encode_to_vec()),
        Say::Advanced => ("OrderAdvanced", pb::OrderAdvanced { order: whole }.encode_to_vec()),
        Say::Cancelled => ("OrderCancelled", pb::OrderCancelled { order: whole }.encode_to_vec()),
        Say::Failed => ("OrderFailed", pb::OrderFailed { order: whole }.encode_to_vec()),
        Say::Ask(step, kind, attempt) => request(order, whole, (step, kind, attempt)),
    };
    NewEvent {
        kind: format!("booster.order.v1.{kind}"),
        subject: order.order_id.to_string(),
        sequence: order.version,
        partition_key: order.order_id.to_string(),
        payload: payload.into(),
    }
}

fn request(
    order: &Order,
    whole: Option<pb::Order>,
    (step, kind, attempt): (Step, Kind, i32),
) -> (&'static str, Vec<u8>) {
    let kind = grpc::step_kind(kind).into();
    match step {
        Step::Coupon => ("CouponRequested", pb::CouponRequested { order: whole, kind, attempt }.encode_to_vec()),
        Step::Hold => ("HoldRequested", pb::HoldRequested { order: whole, kind, attempt }.encode_to_vec()),
        Step::Points => ("PointsRequested", pb::PointsRequested { order: whole, kind, attempt }.encode_to_vec()),
        // Nobody is ever asked for stock: it is order's own.
        Step::Stock | Step::Payment => {
            let amount = Some(grpc::money(&order.subtotal.currency, order.charge()));
            let payment_method = order.payment_method.clone();
            let asked = pb::PaymentRequested { order: whole, kind, attempt, amount, payment_method };
            ("PaymentRequested", asked.encode_to_vec())
        }
    }
}

/// What the answers of participants do to orders.
pub struct Answers(pub Orders);

impl Effects for Answers {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let answers = events.iter().map(|event| answer(event)).collect::<Result<Vec<_>, _>>()?;
        let ids: BTreeSet<String> = answers.iter().map(|(order_id, _)| order_id.clone()).collect();
        let locked = order::lock(tx, &ids.into_iter().collect::<Vec<_>>()).await?;
        let outcome = self.0.proceed(tx, locked, answers).await?;
        if outcome.told.is_empty() {
            return Ok(Told::nothing());
        }
        self.0.outbox.tell(tx, &outcome.told).await
    }

    fn wants(&self, kind: &str) -> bool {
        [COUPON_ANSWERED, HOLD_ANSWERED, POINTS_ANSWERED, PAYMENT_ANSWERED].contains(&kind)
    }
}

/// Which order an answer is for, and what it means to that.
fn answer(event: &Event) -> Result<(String, saga::Event), Unreadable> {
    let damaged = |error: prost::DecodeError| Unreadable::new(format!("{}: {error}", event.kind));
    let payload = event.payload.clone();
    let (step, answer, offer) = match event.kind.as_str() {
        COUPON_ANSWERED => {
            let answered = proto::promotion::v1::CouponStepAnswered::decode(payload).map_err(damaged)?;
            (Step::Coupon, answered.answer, answered.coupon.and_then(|coupon| grpc::offer(coupon.prize)))
        }
        POINTS_ANSWERED => {
            let answered = proto::point::v1::PointsStepAnswered::decode(payload).map_err(damaged)?;
            (Step::Points, answered.answer, None)
        }
        PAYMENT_ANSWERED => {
            let answered = proto::payment::v1::PaymentStepAnswered::decode(payload).map_err(damaged)?;
            (Step::Payment, answered.answer, None)
        }
        HOLD_ANSWERED => {
            let answered = proto::reservation::v1::HoldStepAnswered::decode(payload).map_err(damaged)?;
            (Step::Hold, answered.answer, None)
        }
        other => return Err(Unreadable::new(format!("{other} is not a type of answer"))),
    };
    let answer = answer.ok_or_else(|| Unreadable::new("the event has no answer"))?;
    if answer.order_id != event.subject {
        return Err(Unreadable::new(format!("it is about {} and answers {}", event.subject, answer.order_id)));
    }
    Ok((answer.order_id.clone(), meaning(step, answer, offer)?))
}

fn meaning(step: Step, answer: StepAnswer, offer: Option<crate::discount::Offer>) -> Result<saga::Event, Unreadable> {
    match (answer.kind(), answer.done) {
        (StepKind::Do, true) => Ok(saga::Event::Done(step, offer)),
        (StepKind::Do, false) => Ok(saga::Event::Refused(step, answer.cause.chars().take(CAUSE_LONGEST).collect())),
        (StepKind::Undo, true) => Ok(saga::Event::Undone(step)),
        (StepKind::Undo, false) => Err(Unreadable::new(format!("an undo was refused: {}", answer.cause))),
        (StepKind::Unspecified, _) => Err(Unreadable::new("the answer does not say to what")),
    }
}
