//! The service dies where it stands, again and again, while orders are on their way.

use std::time::Duration;

use proto::order::v1::OrderState;

use crate::participants::Manners;
use crate::stage::{Stage, whole};

#[tokio::test]
async fn whoever_dies_each_order_ends_whole_or_undone() {
    let (deadline, again) = (Duration::from_secs(60), Duration::from_secs(2));
    let mut stage = Stage::patient("killed", deadline, again).await;
    stage.put("soup", 1_000, 1_000).await;
    let mut orders = Vec::new();
    for round in 0..6_u64 {
        for number in 0..10 {
            let user = format!("u{round}-{number}");
            let refuses = [None, None, Some("payment"), Some("reservation")][number % 4];
            stage
                .participants
                .behave(&user, Manners { refuses, repeats: number % 2, percent: 5, ..Manners::default() });
            let placed = stage.place(whole(&user, "soup", 1, 1_000)).await.unwrap();
            orders.push((refuses, user, placed.order_id));
        }
        tokio::time::sleep(Duration::from_millis(37 * round)).await;
        stage.die().await;
        // Asked again, it is the same order.
        for (_, user, order_id) in orders.iter().rev().take(10) {
            assert_eq!(&stage.place(whole(user, "soup", 1, 1_000)).await.unwrap().order_id, order_id);
        }
    }
    let mut sold = 0;
    for (refuses, _, order_id) in orders {
        let end = if refuses.is_none() { OrderState::Paid } else { OrderState::Failed };
        stage.until(&order_id, end).await;
        let effects = stage.participants.effects(&order_id).len();
        assert_eq!(effects, if refuses.is_none() { 4 } else { 0 });
        sold += i64::from(refuses.is_none());
    }
    let item = stage.item("soup").await;
    assert_eq!((item.stock, item.sold), (1_000 - sold, sold));
    stage.end().await;
}
