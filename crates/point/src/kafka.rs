//! Events: an order asks for its points, or gives them back; and what others are told.

use bus::consumer::Effects;
use bus::event::{Event, NewEvent, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::{Outbox, Told};
use kit::error::Invalid;
use kit::postgres::Tx;
use prost::Message as _;
use proto::order::v1 as orders;
use proto::point::v1 as pb;
use proto::r#type::v1 as types;

use crate::account::{AMOUNT_MOST, OrderId, UserId};
use crate::apply::{Applied, apply_in};
use crate::operation::{Asked, Fact, Operation, Outcome};
use crate::order::{Answer, Cause, Step};

const POINTS_REQUESTED: &str = "booster.order.v1.PointsRequested";
const BALANCE_CHANGED: &str = "booster.point.v1.BalanceChanged";
const STEP_ANSWERED: &str = "booster.point.v1.PointsStepAnswered";

/// What orders ask, and are answered.
pub struct Steps {
    /// Where answers are told.
    pub outbox: Outbox,
}

impl Effects for Steps {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let asked = events.iter().map(|event| asked(event)).collect::<Result<Vec<_>, _>>()?;
        let Applied { outcomes, facts } = apply_in(tx, &asked.iter().collect::<Vec<_>>()).await?;
        for outcome in outcomes {
            if let Outcome::Invalid(why) = outcome {
                return Err(invalid(why).into());
            }
        }
        self.outbox.tell(tx, &facts.iter().map(event).collect::<Vec<_>>()).await
    }

    fn wants(&self, kind: &str) -> bool {
        kind == POINTS_REQUESTED
    }
}

/// What an order asks.
fn asked(event: &Event) -> Result<Asked, Unreadable> {
    let requested = orders::PointsRequested::decode(event.payload.clone())
        .map_err(|error| Unreadable::new(format!("{}: {error}", event.kind)))?;
    let step = match requested.kind() {
        types::StepKind::Do => Step::Do,
        types::StepKind::Undo => Step::Undo,
        types::StepKind::Unspecified => return Err(Unreadable::new("it is neither a DO nor an UNDO")),
    };
    let order = requested.order.ok_or_else(|| Unreadable::new("the event has no order"))?;
    let amount = order.points_used;
    if !(0..=AMOUNT_MOST).contains(&amount) {
        return Err(Unreadable::new(format!("points_used is {amount}; it is 0 to {AMOUNT_MOST}")));
    }
    let order_id = OrderId::parse(&order.order_id).map_err(invalid)?;
    let user_id = UserId::parse(&order.user_id).map_err(invalid)?;
    Ok(Asked { operation: Operation::Step { order_id, user_id, amount, step }, request: None })
}

/// What tells of a fact. Its partition key is the user, whose account is locked.
#[must_use]
pub fn event(fact: &Fact) -> NewEvent {
    match fact {
        Fact::BalanceChanged(balance) => NewEvent {
            kind: BALANCE_CHANGED.to_owned(),
            subject: balance.user_id.to_string(),
            sequence: balance.version,
            partition_key: balance.user_id.to_string(),
            payload: pb::BalanceChanged { balance: Some(crate::grpc::balance(balance)) }.encode_to_vec().into(),
        },
        Fact::StepAnswered(answer) => NewEvent {
            kind: STEP_ANSWERED.to_owned(),
            subject: answer.order_id.to_string(),
            sequence: match answer.step {
                Step::Do => 1,
                Step::Undo => 2,
            },
            partition_key: answer.user_id.to_string(),
            payload: step_answered(answer).encode_to_vec().into(),
        },
    }
}

fn step_answered(answer: &Answer) -> pb::PointsStepAnswered {
    let kind = match answer.step {
        Step::Do => types::StepKind::Do,
        Step::Undo => types::StepKind::Undo,
    };
    let said = types::StepAnswer {
        order_id: answer.order_id.to_string(),
        kind: kind.into(),
        done: answer.done.is_ok(),
        cause: answer.done.err().map(Cause::as_str).unwrap_or_default().to_owned(),
    };
    pb::PointsStepAnswered { answer: Some(said), user_id: answer.user_id.to_string(), amount: answer.amount }
}

fn invalid(invalid: Invalid) -> Unreadable {
    Unreadable::new(invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested() -> orders::PointsRequested {
        let order = orders::Order {
            order_id: "o1".to_owned(),
            user_id: "ann".to_owned(),
            points_used: 30,
            ..orders::Order::default()
        };
        orders::PointsRequested { order: Some(order), kind: types::StepKind::Do.into(), attempt: 1 }
    }

    fn read(requested: &orders::PointsRequested) -> Result<Asked, Unreadable> {
        asked(&Event {
            id: "1".to_owned(),
            kind: POINTS_REQUESTED.to_owned(),
            source: "order".to_owned(),
            subject: "o1".to_owned(),
            time: kit::clock::now(),
            sequence: 1,
            partition_key: "o1".to_owned(),
            traceparent: None,
            payload: requested.encode_to_vec().into(),
        })
    }

    #[test]
    fn what_an_order_asks_is_read() {
        let Asked { operation, request } = read(&requested()).unwrap();
        let (order_id, user_id) = (OrderId::parse("o1").unwrap(), UserId::parse("ann").unwrap());
        assert_eq!(operation, Operation::Step { order_id, user_id, amount: 30, step: Step::Do });
        assert_eq!(request, None);
    }

    #[test]
    fn what_no_order_can_ask_is_not_read() {
        let damages: [fn(&mut orders::PointsRequested); 6] = [
            |requested| requested.order = None,
            |requested| requested.kind = 0,
            |requested| requested.kind = 9,
            |requested| requested.order.as_mut().unwrap().order_id = "a b".to_owned(),
            |requested| requested.order.as_mut().unwrap().user_id = String::new(),
            |requested| requested.order.as_mut().unwrap().points_used = -1,
        ];
        for (nth, damage) in damages.into_iter().enumerate() {
            let mut requested = requested();
            damage(&mut requested);
            assert!(read(&requested).is_err(), "{nth}");
        }
    }

    #[test]
    fn an_answer_says_why_not() {
        let (order_id, user_id) = (OrderId::parse("o1").unwrap(), UserId::parse("ann").unwrap());
        let done = Err(Cause::InsufficientPoints);
        let told = event(&Fact::StepAnswered(Answer { order_id, user_id, step: Step::Do, done, amount: 0 }));
        assert_eq!((told.subject.as_str(), told.sequence, told.partition_key.as_str()), ("o1", 1, "ann"));
        let answer = pb::PointsStepAnswered::decode(told.payload).unwrap().answer.unwrap();
        assert_eq!((answer.done, answer.cause.as_str()), (false, "INSUFFICIENT_POINTS"));
    }
}
