//! A batch that PostgreSQL ends because of a deadlock is tried again, and counts once (F18).

use sqlx::Connection as _;

use crate::calendar::{noon, sunday};
use crate::scene::{Scene, order, paid};
use crate::service::{Service, until};

/// Deadlocks, at most, until both sides have been ended by one.
const MOST: i64 = 20;

/// Whoever waits for the lock of somebody else.
const WAITS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = 'ranking' AND wait_event_type = 'Lock'";

#[tokio::test]
async fn a_batch_that_ends_in_a_deadlock_counts_once() {
    let scene = Scene::new("deadlock").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    let sale = |number: i64| order(&format!("o{number}"), noon(day), &[("a", 1, "v"), ("b", 1, "v")]);
    scene.tell(&[paid(&sale(0))]).await;
    scene.settled().await;
    let (mut sold, mut ended_other, mut ended_batch) = (1, false, false);
    while !(ended_other && ended_batch) {
        assert!(sold < MOST, "the other: {ended_other}, the batch: {ended_batch}");
        let mut other = sqlx::PgConnection::connect(scene.admin_url.expose()).await.unwrap();
        // The consumer has `a` and waits for `b`; then this one waits for `a`.
        let mut tx = other.begin().await.unwrap();
        sqlx::raw_sql("SELECT FROM ranking.day_score WHERE item_id = 'b' FOR UPDATE").execute(&mut *tx).await.unwrap();
        scene.tell(&[paid(&sale(sold))]).await;
        sold += 1;
        until("the consumer waits", async || scene.number(WAITS).await > 0).await;
        // Whoever has waited for so long looks whether it is for ever, and is ended then; the consumer does after a second.
        let patience =
            if ended_other { "SET LOCAL deadlock_timeout = '5s'" } else { "SET LOCAL deadlock_timeout = '10ms'" };
        sqlx::raw_sql(patience).execute(&mut *tx).await.unwrap();
        let lock =
            sqlx::raw_sql("SELECT FROM ranking.day_score WHERE item_id = 'a' FOR UPDATE").execute(&mut *tx).await;
        ended_batch |= lock.is_ok();
        ended_other |= lock.is_err();
        tx.rollback().await.unwrap();
        other.close().await.unwrap();
        scene.settled().await;
    }
    service.until_day(day, &[("a", sold), ("b", sold)]).await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.parked").await, 0);
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}
