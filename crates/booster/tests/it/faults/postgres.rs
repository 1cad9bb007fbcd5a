//! PostgreSQL crashes, and is away.

use std::time::Duration;

use tokio::time::sleep;
use tonic::Status;

use super::{Field, seconds};
use crate::crowd::{Client, claiming, doors, reason};

/// Claims for deals that nobody knows, while PostgreSQL is away.
const STRANGERS: usize = 20;

#[tokio::test]
async fn postgres_crashes_and_is_away_and_claims_go_on() {
    let field = Field::start("postgres").await;
    let crashed = field.crowd("crashed").await;
    crashed
        .during(async {
            sleep(Duration::from_millis(400)).await;
            field.with(|servers| servers.crash_postgres()).await;
            sleep(Duration::from_secs(2)).await;
            field.with(|servers| servers.crash_postgres()).await;
        })
        .await;
    crashed.assert_undisturbed();

    let away = field.crowd("postgres-away").await;
    let mut client = doors(&field.urls()).await.remove(0);
    assert_eq!(claim(&mut client, "nothing").await, "DEAL_NOT_FOUND");
    away.during(async {
        field.with(|servers| servers.stop_postgres()).await;
        let begun = tokio::time::Instant::now();
        for number in 0..STRANGERS {
            // Who cannot look must not say that there is none, and a deal that he knew of is another matter.
            let stranger = format!("stranger-{number}");
            let claims = (0..4).map(|_| {
                let (mut client, stranger) = (client.clone(), stranger.clone());
                async move { claim(&mut client, &stranger).await }
            });
            let told = futures::future::join_all(claims).await;
            assert!(told.iter().all(|reason| reason == "BACKEND_UNAVAILABLE"), "{told:?}");
            if begun.elapsed() > seconds(5, 30) {
                break;
            }
        }
        tokio::time::sleep_until(begun + seconds(5, 30)).await;
        field.with(|servers| servers.restart_postgres()).await;
    })
    .await;
    away.assert_undisturbed();
    field.assert_exact(&[&crashed, &away]).await;
    assert_eq!(claim(&mut client, "stranger-0").await, "DEAL_NOT_FOUND");
}

/// The reason of a refusal.
async fn claim(client: &mut Client, deal_id: &str) -> String {
    let refused: Status = client.claim_coupon(claiming(deal_id, "ann")).await.expect_err("there is no such deal");
    reason(&refused)
}
