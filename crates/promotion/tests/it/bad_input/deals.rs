//! Deals that cannot be, at their creation and at a change; requests whose id means something else already.

use proto::promotion::v1 as pb;
use proto::promotion::v1::discount::Off;
use proto::r#type::v1::Money;
use tonic::{Code, Status};

use super::Scene;
use crate::service::{deal, field, later, reason};

/// The path of the mask, the field that is named, and what is made wrong.
type Case = (&'static str, &'static str, Box<dyn Fn(&mut pb::Deal)>);

/// Makes a deal another one.
type Change = fn(&mut pb::Deal);

fn case(path: &'static str, field: &'static str, change: impl Fn(&mut pb::Deal) + 'static) -> Case {
    (path, field, Box::new(change))
}

fn discount(field: &'static str, change: impl Fn(&mut pb::Discount) + 'static) -> Case {
    case("prize", field, move |deal| {
        let kind = deal.prize.as_mut().and_then(|prize| prize.kind.as_mut());
        if let Some(pb::prize::Kind::Discount(discount)) = kind {
            change(discount);
        }
    })
}

fn money(currency: &str, minor_units: i64) -> Money {
    Money { currency: currency.to_owned(), minor_units }
}

fn stocks_and_titles() -> Vec<Case> {
    let mut cases = Vec::new();
    for stock in [i64::MIN, -1, 0, 10_000_001, i64::MAX] {
        cases.push(case("stock", "deal.stock", move |deal| deal.stock = stock));
    }
    for title in ["x".repeat(201), "é".repeat(201), "a\0b".into(), "a\nb".into(), "\u{7f}".into(), "\u{85}".into()] {
        cases.push(case("title", "deal.title", move |deal| deal.title.clone_from(&title)));
    }
    cases
}

fn times() -> Vec<Case> {
    let mut cases = Vec::new();
    let instant = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    for (seconds, nanos) in [
        (-1, 0),
        (i64::MIN, 0),
        (253_402_300_800, 0),
        (i64::MAX, 0),
        (4_000_000_000, -1),
        (4_000_000_000, 1_000_000_000),
    ] {
        cases.push(case("opens_at", "deal.opens_at", move |deal| deal.opens_at = instant(seconds, nanos)));
        cases.push(case("closes_at", "deal.closes_at", move |deal| deal.closes_at = instant(seconds, nanos)));
    }
    // At its opening, before it, and within the same millisecond, which is what is counted in.
    for (opens, closes) in [((9, 0), (9, 0)), ((9, 0), (8, 999_000_000)), ((9, 0), (9, 999_999))] {
        cases.push(case("opens_at closes_at", "deal.closes_at", move |deal| {
            deal.opens_at = instant(4_000_000_000 + opens.0, opens.1);
            deal.closes_at = instant(4_000_000_000 + closes.0, closes.1);
        }));
    }
    cases
}

fn prizes() -> Vec<Case> {
    const PERCENT: &str = "deal.prize.discount.percent";
    const AMOUNT: &str = "deal.prize.discount.amount";
    const MOST: &str = "deal.prize.discount.max_amount";
    const LEAST: &str = "deal.prize.discount.min_order";
    const VALID: &str = "deal.prize.discount.valid_for";
    let mut cases = vec![
        case("prize", "deal.prize", |deal| deal.prize = None),
        case("prize", "deal.prize", |deal| deal.prize = Some(pb::Prize { kind: None })),
        discount("deal.prize.discount", |discount| discount.off = None),
        discount(MOST, |discount| {
            (discount.off, discount.max_amount) = (Some(Off::Amount(money("KRW", 5))), Some(money("KRW", 5)));
        }),
    ];
    for amount in [i64::MIN, 0, 5] {
        cases.push(case("prize", "deal.prize.points", move |deal| {
            deal.prize = Some(pb::Prize { kind: Some(pb::prize::Kind::Points(pb::Points { amount })) });
        }));
    }
    for percent in [i32::MIN, -1, 0, 101, i32::MAX] {
        cases.push(discount(PERCENT, move |discount| discount.off = Some(Off::Percent(percent))));
    }
    let amounts = [("KRW", 0), ("KRW", -1), ("KRW", i64::MIN), ("", 5), ("won", 5), ("KR", 5), ("KRWW", 5), ("원", 5)];
    for (currency, minor_units) in amounts {
        let wrong = move || money(currency, minor_units);
        cases.push(discount(AMOUNT, move |discount| discount.off = Some(Off::Amount(wrong()))));
        cases.push(discount(MOST, move |discount| discount.max_amount = Some(wrong())));
        cases.push(discount(LEAST, move |discount| discount.min_order = Some(wrong())));
    }
    let ten_years = 10 * 366 * 86_400;
    for (seconds, nanos) in [(0, 0), (-1, 0), (i64::MIN, 0), (ten_years + 1, 0), (i64::MAX, 0), (5, 1), (5, -1)] {
        cases.push(discount(VALID, move |discount| {
            discount.valid_for = Some(prost_types::Duration { seconds, nanos });
        }));
    }
    cases
}

fn assert_names(answer: Result<pb::Deal, Status>, expected: &str, sent: &pb::Deal) {
    let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
    assert_eq!(code, Code::InvalidArgument, "{expected}: {sent:?}");
    assert_eq!(field(answer), expected, "{sent:?}");
}

#[tokio::test]
async fn what_cannot_be_a_deal_is_neither_made_nor_ordered() {
    let mut scene = Scene::new("bad-deals").await;
    let before = scene.seen().await;
    let scheduled = scene.service.get("later").await.unwrap();
    for (paths, expected, change) in stocks_and_titles().into_iter().chain(times()).chain(prizes()) {
        let mut wrong = pb::Deal { deal_id: "wrong".to_owned(), ..scheduled.clone() };
        change(&mut wrong);
        let asked = pb::CreateDealRequest { deal: Some(wrong.clone()), request_id: "r-wrong".to_owned() };
        let made = scene.service.client.create_deal(asked).await;
        assert_names(made.map(tonic::Response::into_inner), expected, &wrong);
        let wrong = pb::Deal { deal_id: "later".to_owned(), ..wrong };
        let paths: Vec<&str> = paths.split(' ').collect();
        assert_names(scene.service.change(wrong.clone(), &paths).await, expected, &wrong);
    }
    for paths in [&["deal.stock"][..], &[""], &["stock", "*"], &["state"], &["deal_id"], &["Stock"]] {
        assert_eq!(field(scene.service.change(scheduled.clone(), paths).await), "update_mask", "{paths:?}");
    }
    assert_eq!(scene.seen().await, before);
    // What was refused is not remembered: the same id makes a deal that can be.
    let asked = pb::CreateDealRequest { deal: Some(deal("right", 5)), request_id: "r-wrong".to_owned() };
    assert_eq!(scene.service.client.create_deal(asked).await.unwrap().into_inner().deal_id, "right");
    scene.end().await;
}

#[tokio::test]
async fn the_outermost_that_can_be_is_made() {
    let mut scene = Scene::new("bad-outermost").await;
    let most = prost_types::Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 };
    let discount = pb::Discount {
        off: Some(Off::Percent(100)),
        max_amount: Some(money("KRW", i64::MAX)),
        min_order: Some(money("KRW", i64::MAX)),
        valid_for: Some(prost_types::Duration { seconds: 10 * 366 * 86_400, nanos: 0 }),
    };
    let prize = Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) });
    let wanted = pb::Deal {
        title: "쿠".repeat(200),
        venue_id: "x".repeat(64),
        opens_at: Some(prost_types::Timestamp::default()),
        closes_at: Some(most),
        prize: prize.clone(),
        ..deal(&"x".repeat(48), 10_000_000)
    };
    let asked = pb::CreateDealRequest { deal: Some(wanted.clone()), request_id: "r".repeat(64) };
    let made = scene.service.client.create_deal(asked).await.unwrap().into_inner();
    assert_eq!((&made.title, made.stock, &made.prize), (&wanted.title, 10_000_000, &prize));
    let user = "u".repeat(64);
    let coupon = scene.service.claim(&wanted.deal_id, &user).await.unwrap().coupon.unwrap();
    assert_eq!((coupon.user_id.as_str(), coupon.prize), (user.as_str(), prize));
    assert_eq!(scene.service.arrived(&wanted.deal_id, 1).await.len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_request_id_stands_for_one_content() {
    let mut scene = Scene::new("bad-request-id").await;
    let first = pb::CreateDealRequest { deal: Some(deal("dinner", 5)), request_id: "r1".to_owned() };
    let made = scene.service.client.create_deal(first.clone()).await.unwrap().into_inner();
    let before = scene.seen().await;
    let changes: [(&str, Change); 6] = [
        ("deal_id", |deal| deal.deal_id = "supper".to_owned()),
        ("no deal_id", |deal| deal.deal_id = String::new()),
        ("title", |deal| deal.title = "Supper".to_owned()),
        ("stock", |deal| deal.stock = 6),
        ("closes_at", |deal| deal.closes_at = Some(later(7_200))),
        ("pass_required", |deal| deal.pass_required = true),
    ];
    for (name, change) in changes {
        let mut other = first.clone();
        change(other.deal.as_mut().unwrap());
        let answer = scene.service.client.create_deal(other).await;
        assert_eq!(answer.as_ref().unwrap_err().code(), Code::InvalidArgument, "{name}");
        assert_eq!(reason(answer), "REQUEST_ID_REUSED", "{name}");
    }
    // What cannot be a deal is said first.
    let mut wrong = first.clone();
    wrong.deal.as_mut().unwrap().stock = 0;
    assert_eq!(field(scene.service.client.create_deal(wrong).await), "deal.stock");
    // A deal that is there is not made by another request.
    let again = pb::CreateDealRequest { request_id: "r2".to_owned(), ..first.clone() };
    assert_eq!(reason(scene.service.client.create_deal(again).await), "DEAL_EXISTS");
    assert_eq!(scene.service.client.create_deal(first).await.unwrap().into_inner(), made);
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

#[tokio::test]
async fn a_stock_never_shrinks() {
    let mut scene = Scene::new("bad-shrink").await;
    for deal_id in ["lunch", "later"] {
        let before = scene.service.get(deal_id).await.unwrap();
        for stock in [1, 4] {
            let wanted = pb::Deal { title: "Less".to_owned(), stock, ..before.clone() };
            let answer = scene.service.change(wanted, &["title", "stock"]).await;
            assert_eq!(answer.as_ref().unwrap_err().code(), Code::FailedPrecondition, "{deal_id} {stock}");
            assert_eq!(reason(answer), "STOCK_SHRINKS", "{deal_id} {stock}");
        }
        assert_eq!(scene.service.get(deal_id).await.unwrap(), before);
    }
    scene.end().await;
}
