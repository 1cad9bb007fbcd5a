//! Many orders of few items, by several processes that share the topic: every sum is right.

use std::collections::HashMap;

use futures::future::join_all;

use crate::calendar::{monday, noon, sunday};
use crate::scene::{Scene, cancelled, order, paid};
use crate::service::Service;

/// Orders that are told by each of those who tell at once.
const ORDERS: usize = 250;
const TELLERS: usize = 4;
const ITEMS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_come_to_the_same_sums() {
    let scene = Scene::new("crowd").await;
    let mut one = Service::start(&scene.servers, &[]).await;
    let other = Service::start(&scene.servers, &[]).await;
    let scene_of = &scene;
    let tell = |teller: usize| async move {
        let mut sold: HashMap<String, i64> = HashMap::new();
        for number in 0..ORDERS {
            let items: Vec<String> = (0..3).map(|nth| format!("i{}", (number + nth * teller) % ITEMS)).collect();
            let lines: Vec<_> = items.iter().map(|item| (item.as_str(), 1, "v")).collect();
            let sale = order(&format!("o{teller}-{number}"), noon([sunday(), monday()][number % 2]), &lines);
            // Half of those that are cancelled are heard of as cancelled first.
            let events = match number % 4 {
                0 => vec![paid(&sale), cancelled(&sale)],
                1 => vec![cancelled(&sale), paid(&sale)],
                _ => {
                    items.iter().for_each(|item| *sold.entry(item.clone()).or_default() += 1);
                    vec![paid(&sale)]
                }
            };
            scene_of.tell(&events).await;
        }
        sold
    };
    let mut sold: HashMap<String, i64> = HashMap::new();
    for some in join_all((0..TELLERS).map(tell)).await {
        some.into_iter().for_each(|(item, number)| *sold.entry(item).or_default() += number);
    }
    scene.settled().await;
    let pool = kit::postgres::connect(&scene.servers, ranking::SERVICE).await.unwrap();
    assert_eq!(ranking::audit::all_time(&pool).await.unwrap(), sold);
    pool.close().await;
    let mut expected: Vec<(&str, i64)> = sold.iter().map(|(item, number)| (item.as_str(), *number)).collect();
    expected.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    one.until_all_time(&expected).await;
    let report = scene.assert_clean().await;
    assert_eq!(report.sales, i64::try_from(ORDERS * TELLERS).unwrap());
    one.stop().await;
    other.stop().await;
    scene.end().await;
}
