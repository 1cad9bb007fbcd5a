//! Creating deals, and looking at them.

use proto::promotion::v1 as pb;
use tonic::Code;

use crate::service::{Service, deal, field, later, reason};

/// Makes a deal wrong.
type Change = fn(&mut pb::Deal);

fn asked(deal: pb::Deal, request_id: &str) -> pb::CreateDealRequest {
    pb::CreateDealRequest { deal: Some(deal), request_id: request_id.to_owned() }
}

#[tokio::test]
async fn the_same_request_makes_one_deal() {
    let mut service = Service::start("create-again").await;
    // Without a name, so that the server has to remember which one it made.
    let first = deal("", 5);
    let made = service.client.create_deal(asked(first.clone(), "r1")).await.unwrap().into_inner();
    let again = service.client.create_deal(asked(first.clone(), "r1")).await.unwrap().into_inner();
    assert_eq!(made, again);
    assert_eq!((made.state(), made.remaining, made.epoch, made.round), (pb::DealState::Open, 5, 1, 1));
    let other = service.client.create_deal(asked(deal("", 6), "r1")).await;
    assert_eq!(reason(other), "REQUEST_ID_REUSED");
    let shown = service.client.get_deal(pb::GetDealRequest { deal_id: made.deal_id.clone() }).await.unwrap();
    assert_eq!(shown.into_inner(), made);
    service.end().await;
}

#[tokio::test]
async fn a_name_is_given_once() {
    let mut service = Service::start("create-exists").await;
    service.deal("lunch", 5).await;
    let again = service.client.create_deal(asked(deal("lunch", 9), "")).await;
    assert_eq!(again.as_ref().unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(reason(again), "DEAL_EXISTS");
    let kept = service.get("lunch").await.unwrap();
    assert_eq!(kept.stock, 5);
    service.end().await;
}

#[tokio::test]
async fn what_cannot_be_a_deal_is_refused_and_makes_nothing() {
    let mut service = Service::start("create-invalid").await;
    let cases: [(&str, Change); 8] = [
        ("deal.deal_id", |deal| deal.deal_id = "a:b".to_owned()),
        ("deal.deal_id", |deal| deal.deal_id = "x".repeat(49)),
        ("deal.venue_id", |deal| deal.venue_id = String::new()),
        ("deal.stock", |deal| deal.stock = 0),
        ("deal.closes_at", |deal| deal.closes_at = None),
        ("deal.closes_at", |deal| deal.opens_at = Some(later(7_200))),
        ("deal.prize", |deal| deal.prize = None),
        ("deal.prize.points", |deal| {
            let points = pb::Points { amount: 5 };
            deal.prize = Some(pb::Prize { kind: Some(pb::prize::Kind::Points(points)) });
        }),
    ];
    for (expected, change) in cases {
        let mut wrong = deal("wrong", 5);
        change(&mut wrong);
        assert_eq!(field(service.client.create_deal(asked(wrong, "")).await), expected);
    }
    assert_eq!(field(service.client.create_deal(asked(deal("wrong", 5), "a b")).await), "request_id");
    let none = pb::CreateDealRequest { deal: None, request_id: String::new() };
    assert_eq!(field(service.client.create_deal(none).await), "deal");
    let shown = service.get("wrong").await;
    assert_eq!(reason(shown), "DEAL_NOT_FOUND");
    service.end().await;
}
