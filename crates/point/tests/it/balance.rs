//! Balances: of the present, of the past, and of nobody.

use std::time::SystemTime;

use proto::point::v1 as pb;

use crate::service::{Service, field, later};

async fn at(service: &mut Service, user_id: &str, instant: prost_types::Timestamp) -> (i64, i64) {
    let asked = pb::GetBalanceRequest { user_id: user_id.to_owned(), at: Some(instant) };
    let balance = service.client.get_balance(asked).await.unwrap().into_inner();
    (balance.available, balance.version)
}

fn before(instant: prost_types::Timestamp) -> prost_types::Timestamp {
    let time = SystemTime::try_from(instant).unwrap() - std::time::Duration::from_micros(1);
    time.into()
}

#[tokio::test]
async fn every_instant_of_the_past_has_its_balance() {
    let mut service = Service::start("balance-past").await;
    let begun = later(0);
    let mut entries = Vec::new();
    for nth in 1..=40 {
        entries.push(service.earn("ann", nth).await);
        if nth % 4 == 0 {
            entries.push(service.deduct("ann", nth / 2, &format!("o{nth}")).await.unwrap());
        }
    }
    let mut earlier = (0, 0);
    for (nth, entry) in (1..).zip(&entries) {
        let created_at = entry.created_at.unwrap();
        assert_eq!(at(&mut service, "ann", created_at).await, (entry.balance_after, nth));
        assert_eq!(at(&mut service, "ann", before(created_at)).await, earlier);
        earlier = (entry.balance_after, nth);
    }
    assert_eq!(at(&mut service, "ann", later(0)).await, earlier);
    assert_eq!(at(&mut service, "ann", begun).await, (0, 0));
    assert_eq!(at(&mut service, "ann", prost_types::Timestamp::default()).await, (0, 0));
    service.end_clean().await;
}

#[tokio::test]
async fn who_has_no_account_has_nothing_and_the_future_is_not_told() {
    let mut service = Service::start("balance-nobody").await;
    let nobody = pb::Balance { user_id: "nobody".to_owned(), ..pb::Balance::default() };
    assert_eq!(service.balance("nobody").await, nobody);
    assert_eq!(at(&mut service, "nobody", later(0)).await, (0, 0));
    let asked = pb::GetBalanceRequest { user_id: "nobody".to_owned(), at: Some(later(60_000)) };
    assert_eq!(field(service.client.get_balance(asked).await), "at");
    service.end_clean().await;
}
