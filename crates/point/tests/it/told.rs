//! What others are told: one word about each account and transaction, the newest last.

use prost::Message as _;
use proto::point::v1 as pb;
use sqlx::Row as _;

use crate::service::{Service, admin, later};

#[tokio::test]
async fn a_balance_is_told_whole_and_counts_its_entries() {
    let mut service = Service::start("told").await;
    let soon = pb::EarnPointsRequest { expires_at: Some(later(3_600_000)), ..crate::service::earn("ann", 40) };
    service.try_earn(soon).await.unwrap();
    service.earn("ann", 60).await;
    service.orders.take("o1", "ann", 30).await;
    let now = service.balance("ann").await;
    let wanted = pb::Balance { user_id: "ann".to_owned(), available: 70, reserved: 0, expiring_soon: 10, version: 3 };
    assert_eq!(now, wanted);

    let rows = sqlx::query(
        "SELECT subject, partition_key, sequence, payload FROM point.outbox
         WHERE kind = 'booster.point.v1.BalanceChanged' ORDER BY id",
    );
    let rows = rows.fetch_all(&mut admin(&service.ground).await).await.unwrap();
    let told: Vec<pb::Balance> = rows
        .iter()
        .map(|row| {
            let balance = pb::BalanceChanged::decode(row.get::<&[u8], _>("payload")).unwrap().balance.unwrap();
            assert_eq!((row.get("subject"), row.get("partition_key")), ("ann", "ann"));
            assert_eq!(row.get::<i64, _>("sequence"), balance.version);
            balance
        })
        .collect();
    assert_eq!(told.iter().map(|balance| balance.available).collect::<Vec<_>>(), [40, 100, 70]);
    assert_eq!(told.last(), Some(&now));
    service.end_clean().await;
}
