//! Parked events are bounded: beyond the bound a consumer stops and says so, loses nothing, and goes on when there is room.

use std::time::Duration;

use crate::counting::BREAKS;
use crate::kafka::{Producer, Record, offsets, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

async fn subjects(place: &Place) -> Vec<String> {
    place.effects("count").await.into_iter().map(|effect| effect.subject).collect()
}

#[tokio::test]
async fn too_many_parked_events_stop_the_consumer_until_somebody_has_looked() {
    let place = Place::new("limit").await;
    let fill = r#"INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
        SELECT 'count', 'key-' || n, 'elsewhere', 0, n, '{}', '', 'filled', 1 FROM generate_series(1, 9999) AS n"#;
    sqlx::query(fill).execute(&place.pool).await.unwrap();
    let good = |name: &str| Record::event(tag(1), name, 1);
    let poison = |name: &str| good(name).carrying(BREAKS);
    let records = [good("first"), poison("last-that-fits"), good("second"), poison("one-too-many"), good("third")];
    let producer = Producer::new(&place);
    producer.send(&records).await;
    let consumer = Running::consumer(&place, "count").await;
    until("it says so", async || crate::log::has_said(&["10000", "parked", "limit"])).await;
    // It goes on trying, and nothing comes of it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.parked("count").await.len(), 10_000);
    assert_eq!(subjects(&place).await, ["first", "second"]);
    assert!(offsets(&place, "count").await.iter().all(|(committed, _)| *committed <= 3));

    // Whoever is told to end while he waits does so, and the next one waits at the same place.
    consumer.stop().await;
    let consumer = Running::consumer(&place, "count").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(subjects(&place).await, ["first", "second"]);
    sqlx::query("DELETE FROM parked WHERE cause = 'filled'").execute(&place.pool).await.unwrap();
    until_consumed(&place, "count").await;
    assert_eq!(subjects(&place).await, ["first", "second", "third"]);
    let parked = place.parked("count").await;
    let keys: Vec<_> = parked.iter().map(|parked| parked.parking_key.as_str()).collect();
    assert_eq!(keys, ["last-that-fits", "one-too-many"]);
    consumer.stop().await;
    place.end().await;
}
