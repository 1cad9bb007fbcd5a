//! Coupons are given back, and stock is raised: what comes free is claimable by others within a second.

use std::time::{Duration, Instant};

use proto::promotion::v1 as pb;

use crate::service::{Service, field, reason};

fn of_stock(deal_id: &str, stock: i64) -> pb::Deal {
    pb::Deal { deal_id: deal_id.to_owned(), stock, ..pb::Deal::default() }
}

/// Claims until it is a yes; panics where that takes longer than a second.
async fn claimable(service: &mut Service, user_id: &str) -> pb::Coupon {
    let since = Instant::now();
    loop {
        match service.claim("lunch", user_id).await {
            Ok(reply) => return reply.coupon.unwrap(),
            refused => assert_eq!(reason(refused), "SOLD_OUT"),
        }
        assert!(since.elapsed() < Duration::from_secs(1), "not claimable within a second");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Until the deal is answered from memory: a return must get through to whoever answers so.
async fn sell_out(service: &mut Service) {
    let since = Instant::now();
    let before = from_memory();
    while from_memory() == before {
        assert_eq!(reason(service.claim("lunch", "late").await), "SOLD_OUT");
        assert!(since.elapsed() < Duration::from_secs(10), "memory never answers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many claims of this program were answered from memory. (Tests that run beside this one count too: they only make it
/// stop earlier.)
fn from_memory() -> u64 {
    let text = kit::telemetry::metrics_text();
    let line = text.lines().find(|line| line.starts_with("booster_claims_from_memory_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_seat_that_was_given_back_goes_to_somebody_else() {
    let mut service = Service::start("return").await;
    service.deal("lunch", 2).await;
    let ann = service.claim("lunch", "ann").await.unwrap().coupon.unwrap();
    service.claim("lunch", "bob").await.unwrap();
    sell_out(&mut service).await;

    assert_eq!(reason(service.give_back("lunch-1", "bob").await), "NOT_OWNER");
    assert_eq!(reason(service.give_back("lunch-3", "bob").await), "COUPON_NOT_FOUND");
    assert_eq!(reason(service.give_back("dinner-1", "bob").await), "COUPON_NOT_FOUND");
    for wrong in ["lunch", "lunch-", "lunch-x", "lunch-01", "-1", ""] {
        assert_eq!(field(service.give_back(wrong, "bob").await), "coupon_id", "{wrong}");
    }

    let returned = service.give_back("lunch-1", "ann").await.unwrap();
    assert_eq!(returned, pb::Coupon { state: pb::CouponState::Returned.into(), ..ann });
    let again = service.give_back("lunch-1", "ann").await.unwrap();
    assert_eq!(again, returned);

    let cid = claimable(&mut service, "cid").await;
    assert_eq!(cid.rank, 3);
    assert_eq!(reason(service.claim("lunch", "ann").await), "COUPON_RETURNED");
    assert_eq!(service.get_claim("lunch", "ann").await.unwrap(), returned);
    let shown = service.get("lunch").await.unwrap();
    assert_eq!((shown.remaining, shown.round), (0, 2));

    let listed = service.arrived("lunch", 3).await;
    let states: Vec<_> = listed.iter().map(|coupon| (coupon.rank, coupon.state())).collect();
    let (issued, returned) = (pb::CouponState::Issued, pb::CouponState::Returned);
    assert_eq!(states, [(3, issued), (2, issued), (1, returned)]);
    service.assert_clean(3).await;
    service.end().await;
}

#[tokio::test]
async fn stock_grows_and_never_shrinks() {
    let mut service = Service::start("raise").await;
    service.deal("lunch", 1).await;
    service.claim("lunch", "ann").await.unwrap();
    sell_out(&mut service).await;
    assert_eq!(reason(service.change(of_stock("dinner", 5), &["stock"]).await), "DEAL_NOT_FOUND");
    assert_eq!(field(service.change(of_stock("lunch", 5), &["venue_id"]).await), "update_mask");
    assert_eq!(field(service.change(of_stock("lunch", 0), &["stock"]).await), "deal.stock");

    let raised = service.change(of_stock("lunch", 2), &["stock"]).await.unwrap();
    assert_eq!((raised.stock, raised.remaining, raised.round), (2, 1, 2));
    assert_eq!(claimable(&mut service, "bob").await.rank, 2);
    assert_eq!(reason(service.change(of_stock("lunch", 1), &["stock"]).await), "STOCK_SHRINKS");
    let same = service.change(of_stock("lunch", 2), &["stock"]).await.unwrap();
    assert_eq!((same.stock, same.round), (2, 2));
    service.arrived("lunch", 2).await;
    service.assert_clean(2).await;
    service.end().await;
}
