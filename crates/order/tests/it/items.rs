//! Items and their stock.

use crate::stage::{Stage, field, reason};

#[tokio::test]
async fn stock_is_changed_once_for_each_request() {
    let mut stage = Stage::start("items").await;
    let made = stage.put("soup", 1_000, 10).await;
    assert_eq!((made.stock, made.sold), (10, 0));
    // Its stock stays, whatever is put.
    let put = stage.put("soup", 900, 77).await;
    assert_eq!((put.stock, put.price.unwrap().minor_units), (10, 900));
    for _ in 0..3 {
        assert_eq!(stage.adjust("soup", 5, "r1").await.unwrap().stock, 15);
    }
    assert_eq!(reason(stage.adjust("soup", 6, "r1").await), "REQUEST_ID_REUSED");
    assert_eq!(reason(stage.adjust("soup", -16, "r2").await), "OUT_OF_STOCK");
    assert_eq!(stage.adjust("soup", -15, "r2").await.unwrap().stock, 0);
    assert_eq!(field(stage.adjust("soup", 0, "r3").await), "delta");
    assert_eq!(field(stage.adjust("soup", 1, "").await), "request_id");
    assert_eq!(reason(stage.adjust("tea", 1, "r4").await), "ITEM_NOT_FOUND");
    assert_eq!(stage.put("", 1, 1).await.item_id.len(), 26);
    stage.end().await;
}
