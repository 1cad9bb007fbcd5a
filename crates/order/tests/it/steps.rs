//! Every step: well, refused, silent, late, repeated; each order ends with all effects once, or with none.

use std::time::Duration;

use proto::order::v1::{OrderState, SagaStep, StepState};
use proto::r#type::v1::StepKind;

use crate::participants::Manners;
use crate::stage::{Stage, plain, whole};

const ALL: [&str; 4] = ["promotion", "reservation", "point", "payment"];

#[tokio::test]
async fn an_order_with_everything_is_paid_by_its_steps_in_their_order() {
    let mut stage = Stage::start("steps-well").await;
    stage.put("soup", 1_000, 10).await;
    stage.participants.behave("ann", Manners { percent: 10, ..Manners::default() });
    let placed = stage.place(whole("ann", "soup", 2, 1_000)).await.unwrap();
    assert_eq!((placed.state(), placed.points_used), (OrderState::Pending, 100));
    let paid = stage.until(&placed.order_id, OrderState::Paid).await;
    assert_eq!(paid.discount.unwrap().minor_units, 200);
    assert_eq!(paid.total.unwrap().minor_units, 1_800);
    assert!(paid.paid_at.is_some());
    assert_eq!(stage.participants.amount(&placed.order_id), Some(1_700));
    assert_eq!(stage.participants.effects(&placed.order_id), ALL);
    let steps: Vec<_> = stage.steps(&placed.order_id).await.into_iter().map(|(step, ..)| step).collect();
    assert_eq!(steps, [SagaStep::Stock, SagaStep::Coupon, SagaStep::Hold, SagaStep::Points, SagaStep::Payment]);
    let item = stage.item("soup").await;
    assert_eq!((item.stock, item.sold), (8, 2));
    stage.end().await;
}

#[tokio::test]
async fn whoever_refuses_nothing_of_the_order_is_left() {
    let mut stage = Stage::start("steps-refused").await;
    stage.put("soup", 1_000, 10).await;
    let reasons = ["COUPON_UNUSABLE", "HOLD_LOST", "INSUFFICIENT_POINTS", "PAYMENT_DECLINED"];
    for (service, reason) in ALL.into_iter().zip(reasons) {
        stage.participants.behave(service, Manners { refuses: Some(service), ..Manners::default() });
        let order = stage.place(whole(service, "soup", 2, 1_000)).await.unwrap();
        let failed = stage.until(&order.order_id, OrderState::Failed).await;
        assert_eq!(failed.reason, reason);
        assert!(stage.participants.effects(&order.order_id).is_empty(), "{service}");
        // What was refused had no effect, and is not undone.
        assert_eq!(stage.participants.asked(service, &order.order_id, StepKind::Undo), 0);
        let undone: Vec<_> = ALL.into_iter().take_while(|other| *other != service).collect();
        for other in &undone {
            assert_eq!(stage.participants.asked(other, &order.order_id, StepKind::Undo), 1, "{service} {other}");
        }
        let undos = stage.steps(&order.order_id).await;
        let undos = undos.iter().filter(|(_, kind, _)| *kind == StepKind::Undo).count();
        assert_eq!(undos, undone.len() + 1);
    }
    let item = stage.item("soup").await;
    assert_eq!((item.stock, item.sold), (10, 0));
    stage.end().await;
}

#[tokio::test]
async fn answers_that_come_three_times_count_once() {
    let mut stage = Stage::start("steps-thrice").await;
    stage.put("soup", 1_000, 1_000).await;
    let mut orders = Vec::new();
    for number in 0..20 {
        let user = format!("u{number}");
        let refuses = [None, Some("payment"), Some("point")][number % 3];
        stage.participants.behave(&user, Manners { refuses, repeats: 2, percent: 5, ..Manners::default() });
        orders.push((refuses, stage.place(whole(&user, "soup", 1, 1_000)).await.unwrap().order_id));
    }
    let mut sold = 0;
    for (refuses, order_id) in orders {
        let end = if refuses.is_none() { OrderState::Paid } else { OrderState::Failed };
        let order = stage.until(&order_id, end).await;
        let effects = stage.participants.effects(&order_id);
        if refuses.is_none() {
            sold += 1;
            assert_eq!((effects, order.version), (ALL.to_vec(), 5));
        } else {
            assert!(effects.is_empty());
        }
    }
    assert_eq!(stage.item("soup").await.sold, sold);
    stage.end().await;
}

#[tokio::test]
async fn whoever_is_silent_is_asked_again() {
    let (deadline, again) = (Duration::from_secs(60), Duration::from_millis(300));
    let mut stage = Stage::patient("steps-silent", deadline, again).await;
    stage.put("soup", 1_000, 10).await;
    for service in ALL {
        stage.participants.behave(service, Manners { silent: Some((service, 2)), ..Manners::default() });
        let order = stage.place(whole(service, "soup", 1, 1_000)).await.unwrap();
        stage.until(&order.order_id, OrderState::Paid).await;
        assert!(stage.participants.asked(service, &order.order_id, StepKind::Do) >= 3);
        assert_eq!(stage.participants.effects(&order.order_id), ALL);
    }
    stage.end().await;
}

#[tokio::test]
async fn whoever_stays_silent_is_given_up_and_his_step_is_undone_all_the_same() {
    let (deadline, again) = (Duration::from_secs(2), Duration::from_millis(500));
    let mut stage = Stage::patient("steps-given-up", deadline, again).await;
    stage.put("soup", 1_000, 10).await;
    let reasons = ["COUPON_UNUSABLE", "HOLD_LOST", "INSUFFICIENT_POINTS", "PAYMENT_UNSETTLED"];
    for (service, reason) in ALL.into_iter().zip(reasons) {
        stage.participants.behave(service, Manners { silent: Some((service, usize::MAX)), ..Manners::default() });
        let order = stage.place(whole(service, "soup", 1, 1_000)).await.unwrap();
        let failed = stage.until(&order.order_id, OrderState::Failed).await;
        assert_eq!(failed.reason, reason);
        assert!(stage.participants.asked(service, &order.order_id, StepKind::Undo) >= 1);
        assert!(stage.participants.effects(&order.order_id).is_empty());
    }
    assert_eq!(stage.item("soup").await.stock, 10);
    stage.end().await;
}

#[tokio::test]
async fn a_yes_that_comes_after_its_undo_is_undone_once_more() {
    let (deadline, again) = (Duration::from_secs(2), Duration::from_millis(300));
    let mut stage = Stage::patient("steps-late", deadline, again).await;
    stage.put("soup", 1_000, 10).await;
    for service in ALL {
        stage.participants.behave(service, Manners { late: Some(service), ..Manners::default() });
        let order_id = stage.place(whole(service, "soup", 1, 1_000)).await.unwrap().order_id;
        stage.until(&order_id, OrderState::Failed).await;
        stage
            .so("the late yes is undone", async |stage| {
                let asked = stage.participants.asked(service, &order_id, StepKind::Undo);
                let steps = stage.steps(&order_id).await;
                asked >= 3 && steps.iter().all(|(_, _, state)| *state != StepState::Asked)
            })
            .await;
        assert!(stage.participants.effects(&order_id).is_empty());
    }
    assert_eq!(stage.item("soup").await.stock, 10);
    stage.end().await;
}

#[tokio::test]
async fn what_costs_nothing_is_paid_at_once() {
    let mut stage = Stage::start("steps-free").await;
    stage.put("water", 0, 10).await;
    let order = stage.place(plain("ann", "water", 1, 0)).await.unwrap();
    assert_eq!(order.state(), OrderState::Paid);
    stage.put("soup", 100, 10).await;
    let mut asked = plain("ann", "soup", 1, 100);
    asked.points_to_use = 5_000;
    let order = stage.place(asked).await.unwrap();
    assert_eq!(order.points_used, 100);
    stage.until(&order.order_id, OrderState::Paid).await;
    assert_eq!(stage.participants.effects(&order.order_id), ["point"]);
    stage.end().await;
}
