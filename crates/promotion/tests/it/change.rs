//! What was ordered of a deal is changed: all of an order, or nothing; and deals are closed and listed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::promotion::v1 as pb;

use crate::service::{Service, deal, field, later, reason};

impl Service {
    /// Creates a deal that opens in an hour.
    async fn scheduled(&mut self, deal_id: &str) -> pb::Deal {
        let wanted = pb::Deal { opens_at: Some(later(3_600)), closes_at: Some(later(7_200)), ..deal(deal_id, 5) };
        self.create(wanted).await.unwrap()
    }

    async fn listed(&mut self, asked: pb::ListDealsRequest) -> (Vec<String>, String) {
        let listed = self.client.list_deals(asked).await.unwrap().into_inner();
        (listed.deals.into_iter().map(|deal| deal.deal_id).collect(), listed.next_page_token)
    }
}

/// Ten percent off becomes so many.
fn percent(deal: &mut pb::Deal, percent: i32) {
    let discount = pb::Discount { off: Some(pb::discount::Off::Percent(percent)), ..pb::Discount::default() };
    deal.prize = Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) });
}

#[tokio::test]
async fn before_it_opens_everything_can_be_changed() {
    let mut service = Service::start("change-early").await;
    let mut wanted = service.scheduled("lunch").await;
    (wanted.title, wanted.stock, wanted.pass_required) = ("Dinner".to_owned(), 7, true);
    (wanted.opens_at, wanted.closes_at) = (Some(whole(later(1_800))), Some(whole(later(9_000))));
    percent(&mut wanted, 25);
    let paths = ["title", "stock", "opens_at", "closes_at", "prize", "pass_required"];
    let changed = service.change(wanted.clone(), &paths).await.unwrap();
    assert_eq!(changed, pb::Deal { remaining: 7, round: 2, ..wanted });
    assert_eq!(service.get("lunch").await.unwrap(), changed);
    assert_eq!(service.change(changed.clone(), &paths).await.unwrap(), changed, "a repeat changes nothing");

    // What opens now can be claimed at once, with the prize that was ordered last.
    let now = pb::Deal { opens_at: Some(later(0)), pass_required: false, ..changed.clone() };
    let open = service.change(now, &["opens_at", "pass_required"]).await.unwrap();
    assert_eq!(open.state(), pb::DealState::Open);
    assert_eq!(service.claim("lunch", "ann").await.unwrap().coupon.unwrap().prize, changed.prize);
    service.end().await;
}

#[tokio::test]
async fn after_it_opened_some_of_it_stays() {
    let mut service = Service::start("change-late").await;
    service.deal("lunch", 5).await;
    let mut wanted = service.get("lunch").await.unwrap();
    percent(&mut wanted, 99);
    (wanted.title, wanted.stock, wanted.pass_required) = ("Dinner".to_owned(), 9, true);
    wanted.opens_at = Some(later(600));
    let before = service.get("lunch").await.unwrap();
    for path in ["opens_at", "prize", "pass_required"] {
        assert_eq!(reason(service.change(wanted.clone(), &[path]).await), "DEAL_STARTED", "{path}");
        // All of an order, or nothing.
        assert_eq!(reason(service.change(wanted.clone(), &["title", "stock", path]).await), "DEAL_STARTED", "{path}");
    }
    assert_eq!(service.get("lunch").await.unwrap(), before);
    let early = pb::Deal { closes_at: before.opens_at, ..wanted.clone() };
    assert_eq!(field(service.change(early, &["closes_at"]).await), "deal.closes_at");

    let changed = service.change(wanted, &["title", "stock"]).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.stock, changed.round), ("Dinner", 9, 2));
    let closing = pb::Deal { closes_at: Some(whole(later(60))), ..changed };
    let changed = service.change(closing.clone(), &["closes_at"]).await.unwrap();
    assert_eq!(changed.closes_at, closing.closes_at);
    service.end().await;
}

#[tokio::test]
async fn a_closed_deal_stays_closed_and_holders_keep_what_they_have() {
    let mut service = Service::start("close").await;
    service.deal("lunch", 5).await;
    let coupon = service.claim("lunch", "ann").await.unwrap().coupon.unwrap();
    let closed = service.close_deal("lunch").await.unwrap();
    assert_eq!((closed.state(), closed.remaining), (pb::DealState::Closed, 4));
    assert_eq!(service.close_deal("lunch").await.unwrap(), closed);
    assert_eq!(reason(service.claim("lunch", "bob").await), "CLOSED");
    assert_eq!(service.claim("lunch", "ann").await.unwrap().coupon.unwrap(), coupon);
    assert_eq!(service.redeem("lunch-1", "ann", "o1").await.unwrap().order_id, "o1");
    for path in ["title", "stock", "closes_at", "opens_at", "prize", "pass_required"] {
        let wanted = pb::Deal { stock: 9, closes_at: Some(later(600)), ..closed.clone() };
        assert_eq!(reason(service.change(wanted, &[path]).await), "DEAL_OVER", "{path}");
    }
    assert_eq!(service.get("lunch").await.unwrap(), closed);

    let early = service.scheduled("later").await;
    let never = service.close_deal("later").await.unwrap();
    assert_eq!((never.state(), never.opens_at), (pb::DealState::Closed, early.opens_at));
    assert_eq!(reason(service.claim("later", "ann").await), "CLOSED");
    assert_eq!(reason(service.close_deal("never").await), "DEAL_NOT_FOUND");
    assert_eq!(field(service.close_deal("a b").await), "deal_id");
    service.assert_clean(1).await;
    service.end().await;
}

#[tokio::test]
async fn wrong_orders_are_refused_by_field() {
    let mut service = Service::start("change-bad").await;
    service.deal("lunch", 5).await;
    let before = service.get("lunch").await.unwrap();
    let wrong: [(&str, pb::Deal, &[&str], &str); 11] = [
        ("no mask", before.clone(), &[], "update_mask"),
        ("unknown field", before.clone(), &["venue_id"], "update_mask"),
        ("output only", before.clone(), &["remaining"], "update_mask"),
        ("no name", pb::Deal { deal_id: String::new(), ..before.clone() }, &["stock"], "deal.deal_id"),
        ("stock 0", pb::Deal { stock: 0, ..before.clone() }, &["stock"], "deal.stock"),
        ("stock below 0", pb::Deal { stock: -5, ..before.clone() }, &["stock"], "deal.stock"),
        ("long title", pb::Deal { title: "x".repeat(201), ..before.clone() }, &["title"], "deal.title"),
        ("no end", pb::Deal { closes_at: None, ..before.clone() }, &["closes_at"], "deal.closes_at"),
        ("no prize", pb::Deal { prize: None, ..before.clone() }, &["prize"], "deal.prize"),
        ("points", pb::Deal { prize: Some(points()), ..before.clone() }, &["prize"], "deal.prize.points"),
        (
            "end before opening",
            pb::Deal { opens_at: Some(later(60)), closes_at: Some(later(30)), ..before.clone() },
            &["opens_at", "closes_at"],
            "deal.closes_at",
        ),
    ];
    for (name, deal, paths, expected) in wrong {
        assert_eq!(field(service.change(deal, paths).await), expected, "{name}");
    }
    let asked = pb::UpdateDealRequest { deal: None, update_mask: None };
    assert_eq!(field(service.client.update_deal(asked).await), "deal");
    let unknown = pb::Deal { deal_id: "dinner".to_owned(), ..before.clone() };
    assert_eq!(reason(service.change(unknown, &["stock"]).await), "DEAL_NOT_FOUND");
    assert_eq!(service.get("lunch").await.unwrap(), before);
    service.end().await;
}

#[tokio::test]
async fn changes_at_once_are_all_decided_and_none_is_lost() {
    let mut service = Service::start("change-race").await;
    service.deal("lunch", 5).await;
    let changes = (0..6).map(|number| {
        let mut client = service.client.clone();
        let title = number % 2 == 0;
        let path = if title { "title" } else { "stock" };
        let deal = pb::Deal { deal_id: "lunch".to_owned(), title: "Late".to_owned(), stock: 50, ..pb::Deal::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        async move { client.update_deal(pb::UpdateDealRequest { deal: Some(deal), update_mask }).await }
    });
    for changed in futures::future::join_all(changes).await {
        changed.unwrap();
    }
    let now = service.get("lunch").await.unwrap();
    assert_eq!((now.title.as_str(), now.stock, now.round), ("Late", 50, 2));
    service.end().await;
}

#[tokio::test]
async fn deals_are_listed_newest_first_by_venue_and_state() {
    let mut service = Service::start("list-deals").await;
    for name in ["a", "b", "c"] {
        service.deal(name, 1).await;
    }
    let other = pb::Deal { venue_id: "other".to_owned(), ..deal("d", 1) };
    service.create(other).await.unwrap();
    service.claim("b", "ann").await.unwrap();
    service.close_deal("c").await.unwrap();
    let all = pb::ListDealsRequest::default();
    assert_eq!(service.listed(all.clone()).await, (names(&["d", "c", "b", "a"]), String::new()));
    let of_venue = pb::ListDealsRequest { venue_id: "venue".to_owned(), ..all.clone() };
    assert_eq!(service.listed(of_venue).await.0, names(&["c", "b", "a"]));
    for (state, expected) in [
        (pb::DealState::Open, &["d", "a"][..]),
        (pb::DealState::SoldOut, &["b"]),
        (pb::DealState::Closed, &["c"]),
        (pb::DealState::Scheduled, &[]),
    ] {
        let asked = pb::ListDealsRequest { state: state.into(), ..all.clone() };
        assert_eq!(service.listed(asked).await.0, names(expected), "{state:?}");
    }
    let mut asked = pb::ListDealsRequest { page_size: 3, ..all.clone() };
    let (first, token) = service.listed(asked.clone()).await;
    assert_eq!(first, names(&["d", "c", "b"]));
    asked.page_token = token.clone();
    assert_eq!(service.listed(asked.clone()).await, (names(&["a"]), String::new()));

    let foreign = pb::ListDealsRequest { venue_id: "venue".to_owned(), ..asked.clone() };
    assert_eq!(field(service.client.list_deals(foreign).await), "page_token");
    // An instant before there was PostgreSQL, and one that nobody can write down.
    let forged = [i64::MIN, -300_000_000_000_000_000, -1, i64::MAX].map(|created_us| {
        let cursor = serde_json::json!({"list": "deals//None", "last": {"created_us": created_us, "deal_id": "x"}});
        URL_SAFE_NO_PAD.encode(cursor.to_string())
    });
    for wrong in ["x", "bm9uZQ", &format!("{token}x")].into_iter().chain(forged.iter().map(String::as_str)) {
        let asked = pb::ListDealsRequest { page_token: wrong.to_owned(), ..all.clone() };
        assert_eq!(field(service.client.list_deals(asked).await), "page_token", "{wrong}");
    }
    for (asked, expected) in [
        (pb::ListDealsRequest { page_size: -1, ..all.clone() }, "page_size"),
        (pb::ListDealsRequest { page_size: 1_001, ..all.clone() }, "page_size"),
        (pb::ListDealsRequest { state: 99, ..all.clone() }, "state"),
        (pb::ListDealsRequest { venue_id: "a b".to_owned(), ..all.clone() }, "venue_id"),
    ] {
        assert_eq!(field(service.client.list_deals(asked).await), expected);
    }
    service.end().await;
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn points() -> pb::Prize {
    pb::Prize { kind: Some(pb::prize::Kind::Points(pb::Points { amount: 5 })) }
}

/// To the second: what is stored to the millisecond comes back the same.
fn whole(time: prost_types::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { nanos: 0, ..time }
}

#[tokio::test]
async fn pages_of_one_state_lead_through_the_whole_list() {
    let mut service = Service::start("list-deals-state").await;
    for number in 0..23 {
        let deal_id = service.deal(&format!("d{number:02}"), 1).await;
        if number % 3 == 0 {
            service.claim(&deal_id, "ann").await.unwrap();
        }
    }
    let expected: Vec<String> =
        (0..23).rev().filter(|number| number % 3 == 0).map(|number| format!("d{number:02}")).collect();
    for page_size in [1, 2, 7, 8, 9] {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let state = pb::DealState::SoldOut.into();
            let asked = pb::ListDealsRequest { state, page_size, page_token, ..pb::ListDealsRequest::default() };
            let (found, next) = service.listed(asked).await;
            assert!(found.len() <= usize::try_from(page_size).unwrap());
            all.extend(found);
            if next.is_empty() {
                break;
            }
            page_token = next;
        }
        assert_eq!(all, expected, "{page_size} a page");
    }
    service.end().await;
}
