//! Whoever dies between the commit and Redis leaves nothing behind that others do not find.

use kit::config::Servers;

use crate::calendar::{noon, sunday};
use crate::scene::{Scene, boards_of, order, paid};
use crate::service::{Service, config, process};

/// Counts everything that was told, and dies before any of it has come to Redis.
async fn count_and_die(scene: &Scene, servers: &Servers) {
    let (consuming, running) = process().await;
    let pool = kit::postgres::connect(servers, ranking::SERVICE).await.unwrap();
    for consumer in ranking::consumers(&config(&[])) {
        bus::consumer::spawn(&consuming, servers, pool.clone(), consumer).unwrap();
    }
    scene.counted().await;
    consuming.stop();
    running.await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn what_was_counted_comes_to_redis_by_whoever_comes_next() {
    let scene = Scene::new("dies-commit").await;
    let day = sunday();
    for number in 0..20 {
        scene.tell(&[paid(&order(&format!("o{number}"), noon(day), &[("tea", 1, "v"), ("cake", 2, "v")]))]).await;
    }
    count_and_die(&scene, &scene.servers).await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.day_score WHERE applied = 0").await, 2);
    for board in boards_of(day) {
        assert!(scene.seen(board).await.scores.is_empty());
    }
    let mut service = Service::start(&scene.servers, &[]).await;
    scene.settled().await;
    service.until_day(day, &[("cake", 40), ("tea", 20)]).await;
    service.until_week(day, &[("cake", 40), ("tea", 20)]).await;
    service.until_all_time(&[("cake", 40), ("tea", 20)]).await;

    // It is on its boards, and dies before that is noted: the same scores once more change nothing.
    let before = scene.bytes(boards_of(day)[0]).await;
    scene.execute("UPDATE ranking.day_score SET applied = 0").await;
    scene.settled().await;
    assert_eq!(scene.bytes(boards_of(day)[0]).await, before);
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}

/// Another process counts, and this one finds it by itself.
#[tokio::test]
async fn what_another_process_has_counted_is_found_within_a_moment() {
    let scene = Scene::new("dies-other").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    service.until_day(day, &[]).await;
    // Nobody rings for this: it is as if it had been counted elsewhere.
    scene
        .execute(
            "INSERT INTO ranking.sale (order_id, lines, paid, cancelled)
             SELECT 'o1', jsonb_build_array(jsonb_build_object('day', current_date - 1, 'item_id', 'tea', 'quantity', 3)), true, false;
             INSERT INTO ranking.day_score (day, item_id, score, version) VALUES (current_date - 1, 'tea', 3, 1);
             INSERT INTO ranking.all_time (item_id, score) VALUES ('tea', 3)",
        )
        .await;
    service.until_all_time(&[("tea", 3)]).await;
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}
