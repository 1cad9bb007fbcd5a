//! Bad input: each its own refusal that names the field, and nothing is changed.

use proto::order::v1 as pb;
use proto::r#type::v1::Money;

use crate::stage::{Stage, field, item, plain, reason, won};

#[tokio::test]
async fn an_order_that_cannot_be_names_the_field() {
    let mut stage = Stage::start("bad-orders").await;
    stage.put("soup", 1_000, 10).await;
    let good = || plain("ann", "soup", 1, 1_000);
    let line = |quantity, price: Option<Money>| {
        let lines = vec![pb::NewOrderLine { item_id: "soup".to_owned(), quantity, expected_unit_price: price }];
        pb::PlaceOrderRequest { lines, ..good() }
    };
    let twice = pb::PlaceOrderRequest { lines: [good().lines, good().lines].concat(), ..good() };
    let mixed = [good().lines, line(1, Some(Money { currency: "EUR".to_owned(), minor_units: 1 })).lines].concat();
    let many = (0..51).map(|number| pb::NewOrderLine { item_id: format!("i{number}"), ..good().lines[0].clone() });
    let cases = [
        (pb::PlaceOrderRequest { user_id: String::new(), ..good() }, "user_id"),
        (pb::PlaceOrderRequest { user_id: "a b".to_owned(), ..good() }, "user_id"),
        (pb::PlaceOrderRequest { request_id: String::new(), ..good() }, "request_id"),
        (pb::PlaceOrderRequest { request_id: "x".repeat(65), ..good() }, "request_id"),
        (pb::PlaceOrderRequest { lines: Vec::new(), ..good() }, "lines"),
        (pb::PlaceOrderRequest { lines: many.collect(), ..good() }, "lines"),
        (twice, "lines"),
        (line(0, Some(won(1_000))), "lines.quantity"),
        (line(-1, Some(won(1_000))), "lines.quantity"),
        (line(i64::MAX, Some(won(1_000))), "lines.quantity"),
        (line(1, None), "lines.expected_unit_price"),
        (line(1, Some(won(-1))), "lines.expected_unit_price"),
        (line(1, Some(Money { currency: "won".to_owned(), minor_units: 1 })), "lines.expected_unit_price"),
        (pb::PlaceOrderRequest { lines: mixed, ..good() }, "lines.expected_unit_price"),
        (pb::PlaceOrderRequest { coupon_id: "a:b".to_owned(), ..good() }, "coupon_id"),
        (pb::PlaceOrderRequest { hold_id: "{}".to_owned(), ..good() }, "hold_id"),
        (pb::PlaceOrderRequest { points_to_use: -1, ..good() }, "points_to_use"),
        (pb::PlaceOrderRequest { payment_method: String::new(), ..good() }, "payment_method"),
        (pb::PlaceOrderRequest { payment_method: "sandbox:free".to_owned(), ..good() }, "payment_method"),
    ];
    for (asked, expected) in cases {
        assert_eq!(field(stage.place(asked.clone()).await), expected, "{asked:?}");
    }
    assert_eq!(stage.item("soup").await.stock, 10);
    stage.end().await;
}

#[tokio::test]
async fn an_item_that_cannot_be_names_the_field() {
    let mut stage = Stage::start("bad-items").await;
    let good = || item("soup", 1_000, 10);
    let cases = [
        (None, "item"),
        (Some(pb::Item { item_id: "a b".to_owned(), ..good() }), "item.item_id"),
        (Some(pb::Item { venue_id: String::new(), ..good() }), "item.venue_id"),
        (Some(pb::Item { name: "x".repeat(201), ..good() }), "item.name"),
        (Some(pb::Item { name: "\0".to_owned(), ..good() }), "item.name"),
        (Some(pb::Item { price: None, ..good() }), "item.price"),
        (Some(pb::Item { price: Some(won(-1)), ..good() }), "item.price"),
        (Some(pb::Item { price: Some(won(i64::MAX)), ..good() }), "item.price"),
        (Some(pb::Item { stock: -1, ..good() }), "item.stock"),
        (Some(pb::Item { stock: i64::MAX, ..good() }), "item.stock"),
    ];
    for (item, expected) in cases {
        assert_eq!(field(stage.client.put_item(pb::PutItemRequest { item: item.clone() }).await), expected, "{item:?}");
    }
    let unknown = || pb::GetItemRequest { item_id: "soup".to_owned() };
    assert_eq!(reason(stage.client.get_item(unknown()).await), "ITEM_NOT_FOUND");
    let asked = pb::AdvanceOrderRequest { order_id: "x".to_owned(), state: 99 };
    assert_eq!(field(stage.client.advance_order(asked).await), "state");
    let asked = pb::AdvanceOrderRequest { order_id: "x".to_owned(), state: pb::OrderState::Shipping.into() };
    assert_eq!(reason(stage.client.advance_order(asked).await), "ORDER_NOT_FOUND");
    assert_eq!(reason(stage.cancel("x").await), "ORDER_NOT_FOUND");
    assert_eq!(field(stage.cancel("").await), "order_id");
    let asked = pb::ListItemsRequest { page_size: -1, ..pb::ListItemsRequest::default() };
    assert_eq!(field(stage.client.list_items(asked).await), "page_size");
    stage.end().await;
}

#[tokio::test]
async fn tables_cannot_be_booked_where_nobody_answers_for_them() {
    let mut stage = Stage::start("bad-hold").await;
    stage.put("soup", 1_000, 10).await;
    stage.config.holds = false;
    stage.die().await;
    let asked = pb::PlaceOrderRequest { hold_id: "table".to_owned(), ..plain("ann", "soup", 1, 1_000) };
    assert_eq!(reason(stage.place(asked).await), "HOLD_UNSUPPORTED");
    assert_eq!(stage.item("soup").await.stock, 10);
    stage.end().await;
}
