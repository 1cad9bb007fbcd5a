//! What a client does to an order after it was placed: cancel, advance, watch.

use futures::StreamExt as _;
use proto::order::v1 as pb;
use proto::order::v1::OrderState;
use proto::r#type::v1::StepKind;
use sqlx::Connection as _;

use crate::participants::Manners;
use crate::stage::{Stage, plain, reason, whole};

const ALL: [&str; 4] = ["promotion", "reservation", "point", "payment"];

#[tokio::test]
async fn an_order_is_cancelled_wherever_it_waits() {
    let mut stage = Stage::start("moves-cancel").await;
    stage.put("soup", 1_000, 10).await;
    for service in ALL {
        stage.participants.behave(service, Manners { silent: Some((service, usize::MAX)), ..Manners::default() });
        let order_id = stage.place(whole(service, "soup", 1, 1_000)).await.unwrap().order_id;
        stage.so("it waits", async |stage| stage.participants.asked(service, &order_id, StepKind::Do) > 0).await;
        let cancelling = stage.cancel(&order_id).await.unwrap();
        assert_eq!((cancelling.state(), cancelling.reason.as_str()), (OrderState::Cancelling, "CANCELLED_BY_USER"));
        stage.until(&order_id, OrderState::Cancelled).await;
        assert!(stage.participants.effects(&order_id).is_empty());
        assert_eq!(reason(stage.cancel(&order_id).await), "NOT_CANCELLABLE");
    }
    assert_eq!(stage.item("soup").await.stock, 10);
    stage.end().await;
}

#[tokio::test]
async fn a_paid_order_moves_on_and_can_be_cancelled_until_it_ships() {
    let mut stage = Stage::start("moves-paid").await;
    stage.put("soup", 1_000, 10).await;
    for (user, advances) in [("ann", 0), ("bob", 1)] {
        let order_id = stage.place(whole(user, "soup", 1, 1_000)).await.unwrap().order_id;
        stage.until(&order_id, OrderState::Paid).await;
        for _ in 0..advances {
            // Twice: a repeat changes nothing.
            let first = stage.advance(&order_id, OrderState::Preparing).await.unwrap();
            assert_eq!(stage.advance(&order_id, OrderState::Preparing).await.unwrap(), first);
        }
        stage.cancel(&order_id).await.unwrap();
        let cancelled = stage.until(&order_id, OrderState::Cancelled).await;
        assert!(cancelled.paid_at.is_some());
        assert!(stage.participants.effects(&order_id).is_empty());
    }
    assert_eq!(stage.item("soup").await.stock, 10);

    let order_id = stage.place(plain("cleo", "soup", 1, 1_000)).await.unwrap().order_id;
    stage.until(&order_id, OrderState::Paid).await;
    assert_eq!(reason(stage.advance(&order_id, OrderState::Shipping).await), "INVALID_TRANSITION");
    for state in [OrderState::Preparing, OrderState::Shipping, OrderState::Delivered] {
        assert_eq!(stage.advance(&order_id, state).await.unwrap().state(), state);
        if state != OrderState::Preparing {
            assert_eq!(reason(stage.cancel(&order_id).await), "NOT_CANCELLABLE");
        }
    }
    assert_eq!(reason(stage.advance(&order_id, OrderState::Preparing).await), "INVALID_TRANSITION");
    stage.end().await;
}

#[tokio::test]
async fn every_other_transition_is_refused_by_the_database_as_well() {
    let mut stage = Stage::start("moves-database").await;
    stage.put("soup", 1_000, 10).await;
    let order_id = stage.place(plain("ann", "soup", 1, 1_000)).await.unwrap().order_id;
    stage.until(&order_id, OrderState::Paid).await;
    let mut admin = sqlx::PgConnection::connect(stage.ground.admin_url().expose()).await.unwrap();
    for from in order::order::State::ALL {
        for to in order::order::State::ALL.into_iter().filter(|to| *to != from) {
            let mut tx = admin.begin().await.unwrap();
            let start = r#"ALTER TABLE "order".orders DISABLE TRIGGER order_transition"#;
            sqlx::query(start).execute(&mut *tx).await.unwrap();
            let set =
                r#"UPDATE "order".orders SET state = $1, reason = 'X', due_at = clock_timestamp() WHERE order_id = $2"#;
            sqlx::query(set).bind(from.as_str()).bind(&order_id).execute(&mut *tx).await.unwrap();
            let armed = r#"ALTER TABLE "order".orders ENABLE TRIGGER order_transition"#;
            sqlx::query(armed).execute(&mut *tx).await.unwrap();
            let moved = sqlx::query(set).bind(to.as_str()).bind(&order_id).execute(&mut *tx).await;
            assert_eq!(moved.is_ok(), from.next().contains(&to), "{from:?} {to:?}");
            tx.rollback().await.unwrap();
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn a_watcher_sees_the_order_to_its_end() {
    let mut stage = Stage::start("moves-watch").await;
    stage.put("soup", 1_000, 10).await;
    stage.participants.behave("ann", Manners { refuses: Some("payment"), ..Manners::default() });
    let order_id = stage.place(whole("ann", "soup", 1, 1_000)).await.unwrap().order_id;
    let asked = pb::WatchOrderRequest { order_id: order_id.clone() };
    let seen: Vec<pb::Order> =
        stage.client.watch_order(asked).await.unwrap().into_inner().map(Result::unwrap).collect().await;
    assert_eq!(seen.last().unwrap().state(), OrderState::Failed);
    assert!(seen.windows(2).all(|pair| pair[0].version < pair[1].version), "{seen:?}");
    let unknown = pb::WatchOrderRequest { order_id: "nobody".to_owned() };
    assert_eq!(reason(stage.client.watch_order(unknown).await.map(drop)), "ORDER_NOT_FOUND");
    stage.end().await;
}
