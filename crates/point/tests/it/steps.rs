//! The step of an order: well; do twice; undo twice; undo before do; fail. Beside clients who ask for the same order.

use proto::point::v1::EntryKind::{Deduct, Earn, Refund};
use proto::r#type::v1::StepKind;

use crate::orders::{done, refused, requested};
use crate::service::{Service, number, reason, until};

#[tokio::test]
async fn well_and_each_time_the_same() {
    let mut service = Service::start("steps-well").await;
    service.earn("ann", 100).await;
    for _ in 0..2 {
        assert_eq!(service.orders.take("o1", "ann", 30).await, done(30));
    }
    assert_eq!(service.available("ann").await, 70);
    for _ in 0..2 {
        assert_eq!(service.orders.undo("o1", "ann", 30).await, done(30));
    }
    // Asked anew after all that: it was done, and is not done again.
    assert_eq!(service.orders.take("o1", "ann", 30).await, done(30));
    assert_eq!(service.story("ann").await, [(Earn, 100), (Deduct, -30), (Refund, 30)]);
    // An order that uses none.
    assert_eq!(service.orders.take("o2", "bob", 0).await, done(0));
    assert_eq!(service.orders.undo("o2", "bob", 0).await, done(0));
    assert_eq!(service.story("bob").await, []);
    service.end_clean().await;
}

#[tokio::test]
async fn an_undo_before_its_do_leaves_a_mark() {
    let mut service = Service::start("steps-undo-first").await;
    service.earn("ann", 100).await;
    for _ in 0..2 {
        assert_eq!(service.orders.undo("o1", "ann", 30).await, done(0));
        assert_eq!(service.orders.take("o1", "ann", 30).await, refused("ORDER_UNDONE"));
    }
    // Also where nobody has an account.
    assert_eq!(service.orders.undo("o2", "nobody", 30).await, done(0));
    assert_eq!(service.orders.take("o2", "nobody", 30).await, refused("ORDER_UNDONE"));
    assert_eq!(service.story("ann").await, [(Earn, 100)]);
    service.end_clean().await;
}

#[tokio::test]
async fn who_has_too_few_is_told_so_for_good() {
    let mut service = Service::start("steps-fail").await;
    service.earn("ann", 10).await;
    assert_eq!(service.orders.take("o1", "ann", 11).await, refused("INSUFFICIENT_POINTS"));
    assert_eq!(service.orders.take("o2", "nobody", 1).await, refused("INSUFFICIENT_POINTS"));
    service.earn("ann", 10).await;
    // The order has been told, and goes by it.
    assert_eq!(service.orders.take("o1", "ann", 11).await, refused("INSUFFICIENT_POINTS"));
    for _ in 0..2 {
        assert_eq!(service.orders.undo("o1", "ann", 11).await, done(0));
    }
    assert_eq!(service.story("ann").await, [(Earn, 10), (Earn, 10)]);
    service.end_clean().await;
}

#[tokio::test]
async fn clients_and_orders_share_what_was_taken() {
    let mut service = Service::start("steps-shared").await;
    service.earn("ann", 100).await;
    service.deduct("ann", 30, "o1").await.unwrap();
    assert_eq!(service.orders.take("o1", "ann", 30).await, done(30));
    assert_eq!(service.orders.take("o2", "ann", 20).await, done(20));
    for order_id in ["o1", "o2"] {
        assert_eq!(reason(service.deduct("ann", 1, order_id).await), "ORDER_DONE");
    }
    // Others than it asks for were taken.
    service.deduct("ann", 5, "o3").await.unwrap();
    assert_eq!(service.orders.take("o3", "ann", 6).await, refused("ORDER_DONE"));

    let back = service.refund("o1").await.unwrap().unwrap();
    assert_eq!((back.amount, back.order_id.as_str()), (30, "o1"));
    assert_eq!(service.orders.undo("o1", "ann", 30).await, done(30));
    assert_eq!(service.orders.undo("o2", "ann", 20).await, done(20));
    let same = service.refund("o2").await.unwrap().unwrap();
    assert_eq!((same.amount, service.refund("o2").await.unwrap()), (20, Some(same)));
    service.refund("o3").await.unwrap().unwrap();
    assert_eq!(service.available("ann").await, 100);

    // A client's undo leaves the same mark.
    assert_eq!(service.refund("o4").await.unwrap(), None);
    assert_eq!(service.orders.take("o4", "ann", 1).await, refused("ORDER_UNDONE"));
    service.end_clean().await;
}

#[tokio::test]
async fn many_orders_at_once_take_what_there_is() {
    let mut service = Service::start("steps-many").await;
    service.earn("ann", 500).await;
    // A hundred orders of 10, each asked for three times, a third of them undone at once; all in any order.
    let mut asked = Vec::new();
    for nth in 0..100 {
        let order_id = format!("o{nth}");
        asked.extend((0..3).map(|_| requested(&order_id, "ann", 10, StepKind::Do)));
        if nth % 3 == 0 {
            asked.extend((0..2).map(|_| requested(&order_id, "ann", 10, StepKind::Undo)));
        }
    }
    for part in asked.chunks(50) {
        service.orders.send(part).await;
    }
    service.orders.all_read().await;
    let (mut taken, mut answers) = (0, 0);
    for nth in 0..100 {
        let order_id = format!("o{nth}");
        let told = service.orders.told(&order_id, StepKind::Do).await;
        assert!(told.len() == 3 && told.iter().all(|one| *one == told[0]), "{order_id}: {told:?}");
        let undone = service.orders.told(&order_id, StepKind::Undo).await;
        assert_eq!(undone.len(), if nth % 3 == 0 { 2 } else { 0 });
        taken += told[0].amount - undone.first().map_or(0, |undone| undone.amount);
        answers += told.len() + undone.len();
    }
    assert_eq!(service.available("ann").await, 500 - taken);
    assert!(taken > 0);
    // All of it is told to others.
    let unsent = "SELECT count(*) FROM point.outbox WHERE sent_at IS NULL";
    until("everything is sent", async || number(&service.ground, unsent).await == 0).await;
    let steps = "SELECT count(*) FROM point.outbox WHERE kind = 'booster.point.v1.PointsStepAnswered'";
    assert_eq!(number(&service.ground, steps).await, i64::try_from(answers).unwrap());
    service.end_clean().await;
}
