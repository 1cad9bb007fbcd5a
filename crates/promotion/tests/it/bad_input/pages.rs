//! Pages that cannot be, and tokens from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use proto::promotion::v1 as pb;
use proto::promotion::v1::list_coupons_request::Of;

use super::{Client, Scene};
use crate::service::field;

/// One of the lists there are.
#[derive(Debug, Clone)]
enum List {
    Deals(pb::ListDealsRequest),
    Coupons(pb::ListCouponsRequest),
}

impl List {
    /// A page of it: the token for the next.
    async fn ask(&self, mut client: Client, token: &str) -> Result<String, tonic::Status> {
        let page_token = token.to_owned();
        Ok(match self.clone() {
            Self::Deals(asked) => {
                client.list_deals(pb::ListDealsRequest { page_token, ..asked }).await?.into_inner().next_page_token
            }
            Self::Coupons(asked) => {
                client.list_coupons(pb::ListCouponsRequest { page_token, ..asked }).await?.into_inner().next_page_token
            }
        })
    }
}

/// Every list that has a second page in this scene, by what its token says.
fn lists() -> Vec<(&'static str, List)> {
    let deals = |venue_id: &str, state: pb::DealState| {
        let (venue_id, state) = (venue_id.to_owned(), state.into());
        List::Deals(pb::ListDealsRequest { venue_id, state, page_size: 1, page_token: String::new() })
    };
    let coupons = |of: Of, state: pb::CouponState| {
        let (of, state) = (Some(of), state.into());
        List::Coupons(pb::ListCouponsRequest { of, state, page_size: 1, page_token: String::new() })
    };
    use pb::CouponState::{Issued, Unspecified as Any};
    let unspecified = pb::DealState::Unspecified;
    vec![
        ("deals//None", deals("", unspecified)),
        ("deals/venue/None", deals("venue", unspecified)),
        ("deals//Some(Open)", deals("", pb::DealState::Open)),
        ("deals/venue/Some(Open)", deals("venue", pb::DealState::Open)),
        ("user/ann/", coupons(Of::UserId("ann".to_owned()), Any)),
        ("user/ann/ISSUED", coupons(Of::UserId("ann".to_owned()), Issued)),
        ("user/lunch/", coupons(Of::UserId("lunch".to_owned()), Any)),
        ("deal/lunch/", coupons(Of::DealId("lunch".to_owned()), Any)),
        ("deal/lunch/ISSUED", coupons(Of::DealId("lunch".to_owned()), Issued)),
        ("deal/ann/", coupons(Of::DealId("ann".to_owned()), Any)),
    ]
}

/// Second pages for every list: `ann` and `lunch` are names of a deal and of a user both.
async fn fill(scene: &mut Scene) {
    scene.service.deal("ann", 5).await;
    for (deal_id, user) in [("ann", "ann"), ("ann", "lunch"), ("lunch", "lunch"), ("lunch", "cid")] {
        scene.service.claim(deal_id, user).await.unwrap();
    }
    scene.service.arrived("ann", 2).await;
    scene.service.arrived("lunch", 4).await;
}

#[tokio::test]
async fn a_token_leads_on_in_its_own_list_and_in_no_other() {
    let mut scene = Scene::new("bad-tokens").await;
    fill(&mut scene).await;
    let client = scene.service.client.clone();
    let mut tokens = Vec::new();
    for (name, list) in lists() {
        let token = list.ask(client.clone(), "").await.unwrap();
        assert_ne!(token, "", "{name} has a second page");
        tokens.push((name, token));
    }
    for (name, list) in lists() {
        for (of, token) in &tokens {
            let answer = list.ask(client.clone(), token).await;
            if *of == name {
                answer.unwrap();
            } else {
                assert_eq!(field(answer), "page_token", "the token of {of} in {name}");
            }
        }
    }
    scene.end().await;
}

#[tokio::test]
async fn a_token_that_nobody_was_given_is_refused() {
    let mut scene = Scene::new("bad-forged").await;
    fill(&mut scene).await;
    let before = scene.seen().await;
    let client = scene.service.client.clone();
    for (name, list) in lists() {
        let token = list.ask(client.clone(), "").await.unwrap();
        let cut = &token[..token.len() - 4];
        let long = "A".repeat(10_000);
        let wrong = ["%%%", " ", "쿠폰", "AAAA", "bm9uZQ", "e30", "bnVsbA", "W10", cut, &format!("{token}="), &long];
        for wrong in wrong {
            assert_eq!(field(list.ask(client.clone(), wrong).await), "page_token", "{wrong} in {name}");
        }
        for place in [
            "{}",
            "null",
            "7",
            r#"{"created_us":-300000000000000000,"claimed_at_us":1,"deal_id":"a b","rank":1}"#,
            r#"{"created_us":1.5,"claimed_at_us":1.5,"deal_id":"a","rank":1}"#,
            r#"{"created_us":1,"claimed_at_us":1,"deal_id":"\u0000","rank":1}"#,
            r#"{"created_us":-300000000000000000,"claimed_at_us":9000000000000000000,"deal_id":"a","rank":1}"#,
            r#"{"created_us":9000000000000000000,"claimed_at_us":-1,"deal_id":"a","rank":1}"#,
            r#"{"created_us":-1,"claimed_at_us":1,"deal_id":"a","rank":0}"#,
        ] {
            let forged = BASE64.encode(format!(r#"{{"list":"{name}","last":{place}}}"#));
            assert_eq!(field(list.ask(client.clone(), &forged).await), "page_token", "{place} in {name}");
        }
    }
    assert_eq!(scene.seen().await, before);
    scene.end().await;
}

#[tokio::test]
async fn a_page_of_no_size_or_of_no_state_is_refused() {
    let scene = Scene::new("bad-pages").await;
    let mut client = scene.service.client.clone();
    let lunch = || Some(Of::DealId("lunch".to_owned()));
    for page_size in [i32::MIN, -1, 1_001, i32::MAX] {
        let deals = pb::ListDealsRequest { page_size, ..pb::ListDealsRequest::default() };
        assert_eq!(field(client.list_deals(deals).await), "page_size", "{page_size}");
        let coupons = pb::ListCouponsRequest { of: lunch(), page_size, ..pb::ListCouponsRequest::default() };
        assert_eq!(field(client.list_coupons(coupons).await), "page_size", "{page_size}");
    }
    for state in [i32::MIN, -1, 6, i32::MAX] {
        let deals = pb::ListDealsRequest { state, ..pb::ListDealsRequest::default() };
        assert_eq!(field(client.list_deals(deals).await), "state", "{state}");
        let coupons = pb::ListCouponsRequest { of: lunch(), state, ..pb::ListCouponsRequest::default() };
        assert_eq!(field(client.list_coupons(coupons).await), "state", "{state}");
    }
    scene.end().await;
}
