//! Whoever watches a board is told what changes, at most twice a second, and the newest.

use std::time::Duration;

use proto::ranking::v1 as pb;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::calendar::{noon, sunday};
use crate::scene::{Scene, cancelled, order, paid};
use crate::service::{Service, field};

/// How long news may take.
const NEWS: Duration = Duration::from_secs(5);

type Watch = Streaming<pb::ListTopResponse>;

impl Service {
    async fn watch(&mut self, period: pb::Period, date: &str, limit: i32) -> Result<Watch, Status> {
        let request =
            pb::WatchTopRequest { board: "items".to_owned(), period: period.into(), date: date.to_owned(), limit };
        Ok(self.client.watch_top(request).await?.into_inner())
    }
}

/// What is told next.
async fn next(watch: &mut Watch) -> Vec<(String, i64)> {
    let told = tokio::time::timeout(NEWS, watch.message()).await.expect("there is news").unwrap().expect("it goes on");
    told.entries.into_iter().map(|entry| (entry.item_id, entry.score)).collect()
}

/// Reads on until the board is seen so.
async fn sees(watch: &mut Watch, expected: &[(&str, i64)]) {
    let expected: Vec<_> = expected.iter().map(|(item, score)| ((*item).to_owned(), *score)).collect();
    let deadline = Instant::now() + NEWS * 2;
    loop {
        let seen = next(watch).await;
        if seen == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{seen:?} and not {expected:?}");
    }
}

#[tokio::test]
async fn what_is_sold_is_pushed_to_all_who_watch() {
    let scene = Scene::new("watch").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let (day, date) = (sunday(), sunday().to_string());
    let mut watches = Vec::new();
    for _ in 0..50 {
        watches.push(service.watch(pb::Period::Daily, &date, 2).await.unwrap());
    }
    let mut week = service.watch(pb::Period::Weekly, &date, 0).await.unwrap();
    let mut all_time = service.watch(pb::Period::AllTime, "", 0).await.unwrap();
    for watch in watches.iter_mut().chain([&mut week, &mut all_time]) {
        assert_eq!(next(watch).await, []);
    }
    let second = order("o2", noon(day), &[("milk", 1, "v"), ("tea", 2, "v")]);
    scene.tell(&[paid(&order("o1", noon(day), &[("tea", 1, "v"), ("cake", 2, "v")])), paid(&second)]).await;
    for watch in &mut watches {
        sees(watch, &[("tea", 3), ("cake", 2)]).await;
    }
    for watch in [&mut week, &mut all_time] {
        sees(watch, &[("tea", 3), ("cake", 2), ("milk", 1)]).await;
    }
    scene.tell(&[cancelled(&second)]).await;
    for watch in watches.iter_mut().chain([&mut week, &mut all_time]) {
        sees(watch, &[("cake", 2), ("tea", 1)]).await;
    }
    assert_eq!(field(service.watch(pb::Period::Unspecified, "", 0).await), "period");
    service.stop().await;
    // With or without a status, it does end.
    let _ = tokio::time::timeout(NEWS, week.message()).await.expect("the stream ends");
    scene.end().await;
}

#[tokio::test]
async fn nobody_is_told_more_than_twice_a_second() {
    let scene = Scene::new("watch-pace").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let (day, date) = (sunday(), sunday().to_string());
    let mut watch = service.watch(pb::Period::Daily, &date, 0).await.unwrap();
    next(&mut watch).await;
    let sell = async {
        for number in 0..150 {
            scene.tell(&[paid(&order(&format!("o{number}"), noon(day), &[("tea", 1, "v")]))]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let read = async {
        let mut told = Vec::new();
        loop {
            let seen = next(&mut watch).await;
            told.push(Instant::now());
            if seen == [("tea".to_owned(), 150)] {
                return told;
            }
        }
    };
    let ((), told) = tokio::join!(sell, read);
    // From the one to the one after the next a second passes, less what the way to the client differs by.
    let shortest = told.windows(3).map(|three| three[2] - three[0]).min().expect("it takes three seconds to sell all");
    assert!(shortest > Duration::from_millis(800), "{shortest:?}");
    assert!(told.len() < 30, "{} tops for 150 sales", told.len());
    service.stop().await;
    scene.end().await;
}
