//! Placing: once for each request, never one too many, at the price that stands.

use futures::StreamExt as _;
use proto::order::v1::OrderState;
use tonic_types::StatusExt as _;

use crate::stage::{Stage, insist, plain, reason, won};

#[tokio::test]
async fn a_request_places_one_order_however_often_it_comes() {
    let mut stage = Stage::start("placing-twice").await;
    stage.put("soup", 1_000, 100).await;
    let asked = plain("ann", "soup", 2, 1_000);
    // At once, and one after the other.
    let clients = (0..20).map(|_| (stage.client.clone(), asked.clone()));
    let placed = clients.map(|(client, asked)| async move {
        insist(|| {
            let (mut client, asked) = (client.clone(), asked.clone());
            async move { client.place_order(asked).await }
        })
        .await
        .unwrap()
    });
    let placed = futures::future::join_all(placed).await;
    let first = stage.place(asked.clone()).await.unwrap();
    assert!(placed.iter().all(|order| order.order_id == first.order_id));
    assert_eq!(stage.item("soup").await.stock, 98);
    let mut other = asked;
    other.lines[0].quantity = 3;
    assert_eq!(reason(stage.place(other).await), "REQUEST_ID_REUSED");
    stage.until(&first.order_id, OrderState::Paid).await;
    stage.end().await;
}

#[tokio::test]
async fn never_one_more_is_sold_than_there_is() {
    let mut stage = Stage::start("placing-rush").await;
    stage.put("soup", 1_000, 150).await;
    stage.put("tea", 500, 1_000).await;
    let places = (0..400).map(|number| {
        let client = stage.client.clone();
        let mut asked = plain(&format!("u{number}"), "soup", 1, 1_000);
        asked.lines.extend(plain("", "tea", 2, 500).lines);
        async move {
            insist(|| {
                let (mut client, asked) = (client.clone(), asked.clone());
                async move { client.place_order(asked).await }
            })
            .await
        }
    });
    // As many at once as one connection may.
    let placed: Vec<_> = futures::stream::iter(places).buffer_unordered(100).collect().await;
    let (yes, no): (Vec<_>, Vec<_>) = placed.into_iter().partition(Result::is_ok);
    assert_eq!((yes.len(), no.len()), (150, 250));
    for refused in no {
        assert_eq!(reason(refused), "OUT_OF_STOCK");
    }
    let (soup, tea) = (stage.item("soup").await, stage.item("tea").await);
    assert_eq!((soup.stock, soup.sold, tea.stock, tea.sold), (0, 150, 700, 300));
    for order in yes {
        stage.until(&order.unwrap().order_id, OrderState::Paid).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn the_price_of_the_cart_is_never_trusted() {
    let mut stage = Stage::start("placing-price").await;
    stage.put("soup", 1_000, 10).await;
    stage.put("soup", 1_200, 99).await;
    let refused = stage.place(plain("ann", "soup", 1, 1_000)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Aborted);
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "PRICE_CHANGED");
    assert_eq!((info.metadata["item_id"].as_str(), info.metadata["unit_price_minor"].as_str()), ("soup", "1200"));
    // What was refused has left no request behind.
    let order = stage.place(plain("ann", "soup", 1, 1_200)).await.unwrap();
    assert_eq!(order.lines[0].unit_price, Some(won(1_200)));
    assert_eq!(stage.item("soup").await.stock, 9);
    assert_eq!(reason(stage.place(plain("ann", "tea", 1, 1)).await), "ITEM_NOT_FOUND");
    stage.until(&order.order_id, OrderState::Paid).await;
    stage.end().await;
}
