//! The functions of a board: what is older changes nothing, ties have one order, what has none leaves, and all of it goes in time.

use std::collections::HashMap;

use fred::interfaces::{HashesInterface as _, KeysInterface as _, SortedSetsInterface as _};
use jiff::ToSpan as _;
use ranking::board::{Board, Entry, ItemId};
use ranking::redis::{Answer, Finished, Pushed};

use crate::calendar::monday;
use crate::shelf::{Shelf, scores};

fn told(entries: &[Entry]) -> Vec<(i64, &str, i64)> {
    entries.iter().map(|entry| (entry.rank, entry.item_id.as_str(), entry.score)).collect()
}

async fn top(shelf: &Shelf, board: &Board) -> Vec<Entry> {
    match shelf.boards.top(board, 100).await.unwrap() {
        Answer::Found(top) => top.entries,
        Answer::Missing => panic!("{board} is missing"),
    }
}

#[tokio::test]
async fn a_score_that_is_older_changes_nothing() {
    let shelf = Shelf::new("board-older").await;
    let board = Board::of_day(monday());
    assert_eq!(shelf.boards.top(&board, 10).await.unwrap(), Answer::Missing);
    assert_eq!(shelf.boards.push(&board, &scores(&[("tea", 5, 3), ("cake", 2, 1)])).await.unwrap(), Pushed::Partly);
    // Not all of it may be there yet.
    assert_eq!(shelf.boards.top(&board, 10).await.unwrap(), Answer::Missing);
    assert_eq!(shelf.boards.finish(&board, 3).await.unwrap(), Finished::Lost);
    assert_eq!(shelf.boards.finish(&board, 2).await.unwrap(), Finished::Whole);
    assert_eq!(told(&top(&shelf, &board).await), [(1, "tea", 5), (2, "cake", 2)]);
    for older in [[("tea", 9, 2)], [("tea", 0, 1)]] {
        assert_eq!(shelf.boards.push(&board, &scores(&older)).await.unwrap(), Pushed::Whole);
        assert_eq!(told(&top(&shelf, &board).await), [(1, "tea", 5), (2, "cake", 2)]);
    }
    // In one call with a newer one.
    shelf.boards.push(&board, &scores(&[("cake", 7, 2), ("tea", 9, 2)])).await.unwrap();
    assert_eq!(told(&top(&shelf, &board).await), [(1, "cake", 7), (2, "tea", 5)]);
    shelf.ground.end().await;
}

#[tokio::test]
async fn who_has_none_leaves_and_does_not_come_back_by_an_older_one() {
    let shelf = Shelf::new("board-zero").await;
    let board = Board::of_day(monday());
    shelf.boards.push(&board, &scores(&[("tea", 5, 1), ("cake", 2, 1)])).await.unwrap();
    shelf.boards.finish(&board, 2).await.unwrap();
    shelf.boards.push(&board, &scores(&[("tea", 0, 2)])).await.unwrap();
    shelf.boards.push(&board, &scores(&[("tea", 5, 1)])).await.unwrap();
    assert_eq!(told(&top(&shelf, &board).await), [(1, "cake", 2)]);
    let tea = ItemId::parse("tea").unwrap();
    assert_eq!(shelf.boards.rank(&board, &tea, 2).await.unwrap(), Answer::Found(None));
    let [scores, versions] = shelf.boards.keys(&board);
    assert_eq!(shelf.redis.zcard::<i64, _>(&scores).await.unwrap(), 1);
    assert_eq!(shelf.redis.hget::<String, _, _>(&versions, "tea").await.unwrap(), "2");
    shelf.ground.end().await;
}

#[tokio::test]
async fn of_two_with_the_same_score_the_smaller_id_stands_first() {
    let shelf = Shelf::new("board-ties").await;
    let board = Board::of_week(monday());
    // By their bytes: "-" < "0" < "A" < "_" < "a", and a beginning before what it begins.
    let in_order = ["-a", "0", "A", "_", "a", "a-", "aa", "b"];
    for item in ["aa", "_", "b", "a", "A", "0", "a-", "-a"] {
        shelf.boards.push(&board, &scores(&[(item, 3, 1)])).await.unwrap();
    }
    shelf
        .boards
        .push(&board, &scores(&[("z", 1_000_000_000_000_000, 1), ("y", 7_000_000_000_000_000, 1)]))
        .await
        .unwrap();
    shelf.boards.finish(&board, 10).await.unwrap();
    let top = top(&shelf, &board).await;
    assert_eq!(told(&top[..2]), [(1, "y", 7_000_000_000_000_000), (2, "z", 1_000_000_000_000_000)]);
    assert_eq!(told(&top[2..]), (3..).zip(in_order).map(|(rank, item)| (rank, item, 3)).collect::<Vec<_>>());
    shelf.ground.end().await;
}

#[tokio::test]
async fn a_rank_comes_with_its_neighbours() {
    let shelf = Shelf::new("board-rank").await;
    let board = Board::of_day(monday());
    let all = [("a", 9, 1), ("b", 8, 1), ("c", 7, 1), ("d", 6, 1), ("e", 5, 1), ("f", 4, 1)];
    shelf.boards.push(&board, &scores(&all)).await.unwrap();
    let rank = async |item: &str| shelf.boards.rank(&board, &ItemId::parse(item).unwrap(), 2).await.unwrap();
    assert_eq!(rank("c").await, Answer::Missing);
    shelf.boards.finish(&board, 6).await.unwrap();
    for (item, own, above, below) in [
        ("a", (1, "a", 9), vec![], vec![(2, "b", 8), (3, "c", 7)]),
        ("b", (2, "b", 8), vec![(1, "a", 9)], vec![(3, "c", 7), (4, "d", 6)]),
        ("d", (4, "d", 6), vec![(2, "b", 8), (3, "c", 7)], vec![(5, "e", 5), (6, "f", 4)]),
        ("f", (6, "f", 4), vec![(4, "d", 6), (5, "e", 5)], vec![]),
    ] {
        let Answer::Found(Some(standing)) = rank(item).await else { panic!("{item} has no rank") };
        assert_eq!(told(std::slice::from_ref(&standing.entry)), [own]);
        assert_eq!((told(&standing.above), told(&standing.below)), (above, below), "{item}");
    }
    assert_eq!(rank("g").await, Answer::Found(None));
    shelf.ground.end().await;
}

#[tokio::test]
async fn a_board_goes_some_days_after_its_last() {
    let shelf = Shelf::new("board-ttl").await;
    for board in [Board::of_day(monday()), Board::of_week(monday())] {
        shelf.boards.push(&board, &scores(&[("tea", 1, 1)])).await.unwrap();
        shelf.boards.finish(&board, 1).await.unwrap();
        for key in shelf.boards.keys(&board) {
            let expires: i64 = shelf.redis.pexpire_time(&key).await.unwrap();
            assert_eq!(expires, board.expires_ms(), "{key}");
        }
    }
    // One that would be gone by now is not made.
    let past = Board::of_day(monday().saturating_sub(20.days()));
    assert_eq!(shelf.boards.push(&past, &scores(&[("tea", 1, 1)])).await.unwrap(), Pushed::Past);
    assert_eq!(shelf.boards.finish(&past, 0).await.unwrap(), Finished::Past);
    for key in shelf.boards.keys(&past) {
        assert_eq!(shelf.redis.exists::<i64, _>(&key).await.unwrap(), 0, "{key}");
    }
    shelf.ground.end().await;
}

#[tokio::test]
async fn both_keys_of_a_board_are_in_one_slot_and_in_the_namespace() {
    let shelf = Shelf::new("board-keys").await;
    let [scores, versions] = shelf.boards.keys(&Board::of_day(monday()));
    let tag = format!("{}.{{ranking:items:daily:{}}}:", shelf.ground.namespace(), monday());
    assert_eq!((scores, versions), (format!("{tag}scores"), format!("{tag}versions")));
    let other = shelf.boards.keys(&Board::of_week(monday()));
    assert!(other[0].contains("{ranking:items:weekly:"));
    shelf.ground.end().await;
}

#[tokio::test]
async fn a_large_board_is_read_whole() {
    const ITEMS: i64 = 3_000;
    let shelf = Shelf::new("board-large").await;
    let board = Board::of_day(monday());
    let names: Vec<String> = (0..ITEMS).map(|number| format!("i{number}")).collect();
    let all: Vec<_> = names.iter().zip(0..).map(|(name, number)| (name.as_str(), number % 10, 1)).collect();
    for some in scores(&all).chunks(ranking::redis::PUSHED_MOST) {
        shelf.boards.push(&board, some).await.unwrap();
    }
    shelf.boards.finish(&board, names.len()).await.unwrap();
    let kept = shelf.boards.kept(&board).await.unwrap();
    assert!(kept.whole);
    let kept: HashMap<_, _> = kept.items.into_iter().collect();
    let expected = all.iter().map(|(name, score, version)| ((*name).to_owned(), (*score, *version)));
    assert_eq!(kept, expected.collect());
    shelf.ground.end().await;
}
