//! Lists of coupons.

use proto::promotion::v1 as pb;
use proto::promotion::v1::list_coupons_request::Of;

use crate::service::{Service, field};

fn asked(of: Of, page_size: i32, page_token: String) -> pb::ListCouponsRequest {
    pb::ListCouponsRequest { of: Some(of), page_size, page_token, ..pb::ListCouponsRequest::default() }
}

#[tokio::test]
async fn pages_lead_through_the_whole_list_and_no_other() {
    let mut service = Service::start("list-pages").await;
    service.deal("lunch", 10).await;
    for user in 0..7 {
        service.claim("lunch", &format!("u{user}")).await.unwrap();
    }
    service.deal("dinner", 10).await;
    service.claim("dinner", "u3").await.unwrap();
    service.arrived("lunch", 7).await;
    service.arrived("dinner", 1).await;

    let lunch = || Of::DealId("lunch".to_owned());
    let (mut ranks, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = service.client.list_coupons(asked(lunch(), 3, token)).await.unwrap().into_inner();
        ranks.extend(page.coupons.iter().map(|coupon| coupon.rank));
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
        let elsewhere = asked(Of::DealId("dinner".to_owned()), 3, token.clone());
        assert_eq!(field(service.client.list_coupons(elsewhere).await), "page_token");
    }
    assert_eq!((ranks, pages), (vec![7, 6, 5, 4, 3, 2, 1], 3));

    let mine = service.client.list_coupons(asked(Of::UserId("u3".to_owned()), 0, String::new())).await.unwrap();
    let ids: Vec<String> = mine.into_inner().coupons.into_iter().map(|coupon| coupon.coupon_id).collect();
    assert_eq!(ids, ["dinner-1", "lunch-4"]);
    let state = pb::CouponState::Returned.into();
    let returned = pb::ListCouponsRequest { state, ..asked(lunch(), 0, String::new()) };
    assert_eq!(service.client.list_coupons(returned).await.unwrap().into_inner().coupons, []);
    service.end().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let mut service = Service::start("list-invalid").await;
    let lunch = || Of::DealId("lunch".to_owned());
    let cases = [
        ("page_size", asked(lunch(), -1, String::new())),
        ("page_size", asked(lunch(), 1_001, String::new())),
        ("page_token", asked(lunch(), 5, "bm90IGEgY3Vyc29y".to_owned())),
        ("page_token", asked(lunch(), 5, "%%%".to_owned())),
        ("state", pb::ListCouponsRequest { state: 99, ..asked(lunch(), 5, String::new()) }),
        ("user_id", pb::ListCouponsRequest::default()),
        ("deal_id", asked(Of::DealId("{}".to_owned()), 5, String::new())),
    ];
    for (expected, request) in cases {
        assert_eq!(field(service.client.list_coupons(request).await), expected);
    }
    service.end().await;
}
