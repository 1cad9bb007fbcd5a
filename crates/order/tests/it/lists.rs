//! Pages of items and orders, newest first.

use proto::order::v1 as pb;

use crate::stage::{Stage, field, plain};

#[tokio::test]
async fn pages_lead_through_all_of_it_once() {
    let mut stage = Stage::start("lists").await;
    for number in 0..7 {
        stage.put(&format!("item-{number}"), 0, 10).await;
        stage.place(plain("ann", &format!("item-{number}"), 1, 0)).await.unwrap();
    }
    stage.place(plain("bob", "item-0", 1, 0)).await.unwrap();
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let asked = pb::ListItemsRequest { venue_id: "venue".to_owned(), page_size: 3, page_token: token };
        let page = stage.client.list_items(asked).await.unwrap().into_inner();
        names.extend(page.items.into_iter().map(|item| item.item_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let newest_first: Vec<_> = (0..7).rev().map(|number| format!("item-{number}")).collect();
    assert_eq!(names, newest_first);
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let asked = pb::ListOrdersRequest { user_id: "ann".to_owned(), page_size: 2, page_token: token.clone() };
        let page = stage.client.list_orders(asked).await.unwrap().into_inner();
        items.extend(page.orders.into_iter().map(|order| order.lines[0].item_id.clone()));
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert_eq!(items, newest_first);
    let foreign = pb::ListOrdersRequest { user_id: "bob".to_owned(), page_size: 2, page_token: token };
    assert_eq!(field(stage.client.list_orders(foreign).await), "page_token");
    stage.end().await;
}
