//! The gRPC door: what is shown, page by page, and what is no request.

use proto::payment::v1 as pb;
use proto::payment::v1::payment_service_client::PaymentServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::scene::{AMOUNT, Scene, charge, undo};

type Client = PaymentServiceClient<Channel>;

async fn get(client: &mut Client, by: pb::get_payment_request::By) -> Result<pb::Payment, Status> {
    Ok(client.get_payment(pb::GetPaymentRequest { by: Some(by) }).await?.into_inner())
}

fn order(order_id: &str) -> pb::get_payment_request::By {
    pb::get_payment_request::By::OrderId(order_id.to_owned())
}

fn payment(payment_id: &str) -> pb::get_payment_request::By {
    pb::get_payment_request::By::PaymentId(payment_id.to_owned())
}

/// Every page of a list.
async fn pages(client: &mut Client, mut asked: pb::ListPaymentsRequest) -> Vec<Vec<pb::Payment>> {
    let mut pages = Vec::new();
    loop {
        let page = client.list_payments(asked.clone()).await.unwrap().into_inner();
        pages.push(page.payments);
        if page.next_page_token.is_empty() {
            return pages;
        }
        asked.page_token = page.next_page_token;
    }
}

/// The reason of a refusal, and the field that it names.
fn complaint(refused: &Status) -> (String, String) {
    let details = refused.get_error_details();
    let info = details.error_info().expect("it has a reason");
    assert_eq!(info.domain, "payment.booster");
    let field = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
    (info.reason.clone(), field.unwrap_or_default())
}

#[tokio::test]
async fn payments_are_shown_and_listed() {
    let scene = Scene::begin("payment-door", &[]).await;
    let mut client = PaymentServiceClient::connect(scene.url()).await.unwrap();
    for nth in 0..7 {
        let method = if nth == 3 { "sandbox:decline" } else { "sandbox" };
        scene.ask(&[charge(&format!("o{nth}")).by(method)]).await;
        scene.until_answered(&format!("o{nth}"), 1).await;
    }
    scene.ask(&[undo("o5")]).await;
    scene.until_answered("o5", 2).await;

    let shown = get(&mut client, order("o0")).await.unwrap();
    assert_eq!((shown.state(), shown.amount.clone().unwrap().minor_units), (pb::PaymentState::Charged, AMOUNT));
    assert_eq!((shown.refunded.clone().unwrap().minor_units, shown.version), (0, 2));
    assert_eq!(shown.provider_reference, scene.sandbox.lines()[0].reference.clone().unwrap());
    assert!(shown.created_at.is_some());
    assert_eq!(get(&mut client, payment(&shown.payment_id)).await.unwrap(), shown);
    let refunded = get(&mut client, order("o5")).await.unwrap();
    assert_eq!((refunded.state(), refunded.refunded.unwrap().minor_units), (pb::PaymentState::Refunded, AMOUNT));

    let asked = pb::ListPaymentsRequest { page_size: 3, ..pb::ListPaymentsRequest::default() };
    let orders = |pages: &[Vec<pb::Payment>]| {
        pages.iter().map(|page| page.iter().map(|payment| payment.order_id.clone()).collect()).collect::<Vec<Vec<_>>>()
    };
    let all = pages(&mut client, asked.clone()).await;
    assert_eq!(orders(&all), [vec!["o6", "o5", "o4"], vec!["o3", "o2", "o1"], vec!["o0"]]);
    let of_user = pb::ListPaymentsRequest { user_id: "user".to_owned(), ..asked.clone() };
    assert_eq!(pages(&mut client, of_user).await, all);
    let charged = pb::ListPaymentsRequest { state: pb::PaymentState::Charged.into(), ..asked.clone() };
    assert_eq!(orders(&pages(&mut client, charged).await), [vec!["o6", "o4", "o2"], vec!["o1", "o0"]]);
    let nobody = pb::ListPaymentsRequest { user_id: "nobody".to_owned(), ..asked };
    assert_eq!(pages(&mut client, nobody).await, [vec![]]);
    scene.end().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_its_field() {
    let scene = Scene::begin("payment-bad-input", &[]).await;
    let mut client = PaymentServiceClient::connect(scene.url()).await.unwrap();
    for by in [order("none"), payment("none")] {
        let refused = get(&mut client, by).await.unwrap_err();
        assert_eq!((refused.code(), complaint(&refused).0.as_str()), (Code::NotFound, "PAYMENT_NOT_FOUND"));
    }
    let long = "x".repeat(65);
    for (by, field) in [(order(""), "order_id"), (order("a b"), "order_id"), (payment(&long), "payment_id")] {
        let refused = get(&mut client, by).await.unwrap_err();
        assert_eq!(complaint(&refused), ("INVALID_FIELD".to_owned(), field.to_owned()));
    }
    let refused = client.get_payment(pb::GetPaymentRequest { by: None }).await.unwrap_err();
    assert_eq!(complaint(&refused).1, "payment_id");

    let asked = pb::ListPaymentsRequest::default;
    let bad = [
        (pb::ListPaymentsRequest { page_size: -1, ..asked() }, "page_size"),
        (pb::ListPaymentsRequest { page_size: 1_001, ..asked() }, "page_size"),
        (pb::ListPaymentsRequest { state: 77, ..asked() }, "state"),
        (pb::ListPaymentsRequest { user_id: "{}".to_owned(), ..asked() }, "user_id"),
        (pb::ListPaymentsRequest { page_token: "x".to_owned(), ..asked() }, "page_token"),
        // A token of another list, and one with a place that no list has.
        (
            pb::ListPaymentsRequest { page_token: kit::page::token("payments/u/".to_owned(), Some("a")), ..asked() },
            "page_token",
        ),
        (
            pb::ListPaymentsRequest { page_token: kit::page::token("payments//".to_owned(), Some("a b")), ..asked() },
            "page_token",
        ),
        (
            pb::ListPaymentsRequest { page_token: kit::page::token("payments//".to_owned(), Some(7)), ..asked() },
            "page_token",
        ),
    ];
    for (request, field) in bad {
        let refused = client.list_payments(request.clone()).await.unwrap_err();
        assert_eq!(complaint(&refused), ("INVALID_FIELD".to_owned(), field.to_owned()), "{request:?}");
    }
    scene.end().await;
}
