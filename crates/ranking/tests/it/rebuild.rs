//! A board that is made anew is the same, byte for byte; one that was damaged or lost is as it should be.

use fred::interfaces::{HashesInterface as _, SortedSetsInterface as _};
use proto::ranking::v1 as pb;
use ranking::board::Board;

use crate::calendar::{monday, noon, sunday};
use crate::scene::{Scene, boards_of, cancelled, order, paid};
use crate::service::{Service, until};

const PERIODS: [pb::Period; 2] = [pb::Period::Daily, pb::Period::Weekly];
/// Items: more than a board keeps in its compact form.
const ITEMS: usize = 300;

/// A scene in which many items were sold on one day and fewer on the one before, some of both cancelled.
async fn sold(name: &str) -> (Scene, Service) {
    let scene = Scene::new(name).await;
    let service = Service::start(&scene.servers, &[]).await;
    let mut gone = Vec::new();
    for number in 0..ITEMS {
        let item = format!("i{number}");
        let quantity = i64::try_from(number % 7).unwrap() + 1;
        let days = [monday(), monday(), sunday()];
        let sale = order(&format!("o{number}"), noon(days[number % 3]), &[(&item, quantity, "v"), ("tea", 1, "v")]);
        scene.tell(&[paid(&sale)]).await;
        gone.extend((number % 10 == 0).then(|| cancelled(&sale)));
    }
    scene.settled().await;
    // Cancelled once they stood on the boards: their versions stay.
    scene.tell(&gone).await;
    scene.settled().await;
    (scene, service)
}

#[tokio::test]
async fn a_board_that_was_right_stays_the_same() {
    let (scene, mut service) = sold("rebuild-same").await;
    for (board, period) in boards_of(monday()).into_iter().zip(PERIODS) {
        let (bytes, seen) = (scene.bytes(board).await, scene.seen(board).await);
        assert!(seen.scores.len() > 128 && seen.versions.len() > seen.scores.len() + 1, "{}", seen.scores.len());
        let listed = i64::try_from(seen.scores.len()).unwrap();
        assert_eq!(service.rebuild(period, monday()).await, listed);
        assert_eq!(scene.bytes(board).await, bytes, "{board}");

        // Lost as a whole, it comes back with the same scores and versions.
        scene.lose(board).await;
        assert_eq!(service.rebuild(period, monday()).await, listed);
        assert_eq!(scene.seen(board).await, seen, "{board}");
    }
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn whatever_was_damaged_is_as_it_should_be() {
    let (scene, mut service) = sold("rebuild-damage").await;
    for (board, period) in boards_of(monday()).into_iter().zip(PERIODS) {
        let seen = scene.seen(board).await;
        let [scores, versions] = scene.boards.keys(&board);
        let _: i64 = scene
            .redis
            .zadd(&scores, None, None, false, false, vec![(-77.0, "i1"), (-1.0, "ghost"), (3.5, "spirit")])
            .await
            .unwrap();
        let _: i64 = scene.redis.zrem(&scores, "i2").await.unwrap();
        let _: i64 = scene.redis.hset(&versions, [("i4", "999"), ("i5", "nothing"), ("phantom", "4")]).await.unwrap();
        let _: i64 = scene.redis.hdel(&versions, "i7").await.unwrap();
        assert_ne!(scene.seen(board).await, seen);
        service.rebuild(period, monday()).await;
        assert_eq!(scene.seen(board).await, seen, "{board}");
    }
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_board_that_is_missing_is_made_by_whoever_asks_for_it_or_sells() {
    let scene = Scene::new("rebuild-missing").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    for number in 0..3 {
        scene.tell(&[paid(&order(&format!("o{number}"), noon(day), &[("tea", 1, "v"), ("cake", 2, "v")]))]).await;
    }
    service.until_day(day, &[("cake", 6), ("tea", 3)]).await;
    scene.settled().await;
    let seen = scene.seen(Board::of_day(day)).await;
    scene.lose(Board::of_day(day)).await;
    service.until_day(day, &[("cake", 6), ("tea", 3)]).await;
    assert_eq!(scene.seen(Board::of_day(day)).await, seen);

    // One sale of one item brings back all the others.
    scene.lose(Board::of_week(day)).await;
    scene.tell(&[paid(&order("o4", noon(day), &[("milk", 1, "v")]))]).await;
    until("the week is whole", async || scene.seen(Board::of_week(day)).await.scores.len() == 3).await;

    // And where nobody asks and nobody sells, it comes back all the same.
    scene.lose(Board::of_day(day)).await;
    until("the day is whole", async || scene.seen(Board::of_day(day)).await.scores.len() == 3).await;

    // A day on which nothing was sold has an empty board, and of one that is to come none is made.
    let quiet = day.yesterday().unwrap();
    service.until_day(quiet, &[]).await;
    assert_eq!(scene.seen(Board::of_day(quiet)).await.versions.len(), 1);
    let later = monday().saturating_add(jiff::Span::new().days(400));
    service.until_day(later, &[]).await;
    assert_eq!(service.rebuild(pb::Period::Daily, later).await, 0);
    assert_eq!(scene.seen(Board::of_day(later)).await.versions.len(), 0);
    service.stop().await;
    scene.end().await;
}

/// Scores are pushed while the board is made anew, again and again: none is lost, and none is an older one.
#[tokio::test]
async fn a_board_is_made_anew_while_people_buy() {
    let scene = Scene::new("rebuild-busy").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let (mut other, day) = (service.client.clone(), sunday());
    let buy = async {
        for number in 0..100 {
            scene.tell(&[paid(&order(&format!("o{number}"), noon(day), &[("tea", 1, "v"), ("cake", 1, "v")]))]).await;
        }
    };
    let make = async {
        for _ in 0..50 {
            let request = pb::RebuildBoardRequest {
                board: String::new(),
                period: pb::Period::Daily.into(),
                date: day.to_string(),
            };
            // A machine with too much to do may not open a connection in time, and says so.
            until("it is made", async || other.rebuild_board(request.clone()).await.is_ok()).await;
        }
    };
    tokio::join!(buy, make);
    service.until_day(day, &[("cake", 100), ("tea", 100)]).await;
    scene.settled().await;
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}
