//! Items and their stock.

use proto::order::v1 as pb;

use crate::stage::{Stage, field, item, reason};

#[tokio::test]
async fn stock_is_changed_once_for_each_request() {
    let mut stage = Stage::start("items").await;
    let made = stage.put("soup", 1_000, 10).await;
    assert_eq!((made.stock, made.sold), (10, 0));
    // Its stock stays, whatever is put.
    let put = stage.put("soup", 900, 77).await;
    assert_eq!((put.stock, put.price.unwrap().minor_units), (10, 900));
    let asked = |delta, request: &str| pb::AdjustStockRequest {
        item_id: "soup".to_owned(),
        delta,
        request_id: request.to_owned(),
    };
    for _ in 0..3 {
        let item = stage.client.adjust_stock(asked(5, "r1")).await.unwrap().into_inner();
        assert_eq!(item.stock, 15);
    }
    assert_eq!(reason(stage.client.adjust_stock(asked(6, "r1")).await), "REQUEST_ID_REUSED");
    assert_eq!(reason(stage.client.adjust_stock(asked(-16, "r2")).await), "OUT_OF_STOCK");
    assert_eq!(stage.client.adjust_stock(asked(-15, "r2")).await.unwrap().into_inner().stock, 0);
    assert_eq!(field(stage.client.adjust_stock(asked(0, "r3")).await), "delta");
    assert_eq!(field(stage.client.adjust_stock(asked(1, "")).await), "request_id");
    let unknown = pb::AdjustStockRequest { item_id: "tea".to_owned(), ..asked(1, "r4") };
    assert_eq!(reason(stage.client.adjust_stock(unknown).await), "ITEM_NOT_FOUND");
    let unnamed = stage.client.put_item(pb::PutItemRequest { item: Some(item("", 1, 1)) }).await.unwrap();
    assert_eq!(unnamed.into_inner().item_id.len(), 26);
    stage.end().await;
}
