//! Whatever a client sends that cannot be answered: refused, with the field named, and nothing has changed.

use jiff::ToSpan as _;
use proto::ranking::v1 as pb;

use crate::calendar::{monday, noon, sunday};
use crate::scene::{Scene, boards_of, order, paid};
use crate::service::{Service, field, reason};

/// What every method takes.
#[derive(Clone)]
struct Named {
    board: String,
    period: i32,
    date: String,
}

/// Every method that takes these, and what it answers.
async fn every(service: &mut Service, named: &Named) -> Vec<(&'static str, Result<(), tonic::Status>)> {
    let Named { board, period, date } = named.clone();
    let client = &mut service.client;
    let list = pb::ListTopRequest { board: board.clone(), period, date: date.clone(), limit: 0 };
    let watch = pb::WatchTopRequest { board: board.clone(), period, date: date.clone(), limit: 0 };
    let item_id = "tea".to_owned();
    let rank = pb::GetRankRequest { board: board.clone(), period, date: date.clone(), item_id };
    vec![
        ("list_top", client.list_top(list).await.map(drop)),
        ("watch_top", client.watch_top(watch).await.map(drop)),
        ("get_rank", client.get_rank(rank).await.map(drop)),
        ("rebuild_board", client.rebuild_board(pb::RebuildBoardRequest { board, period, date }).await.map(drop)),
    ]
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_its_field_and_changes_nothing() {
    let scene = Scene::new("bad-input").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    scene.tell(&[paid(&order("o1", noon(day), &[("tea", 1, "v")]))]).await;
    service.until_day(day, &[("tea", 1)]).await;
    scene.settled().await;
    let before = (scene.dump().await, scene.seen(boards_of(day)[0]).await, scene.seen(boards_of(day)[1]).await);

    let right = Named { board: "items".to_owned(), period: pb::Period::Daily.into(), date: day.to_string() };
    for (method, answer) in every(&mut service, &right).await {
        assert!(answer.is_ok(), "{method}: {answer:?}");
    }
    let (daily, weekly, all) = (pb::Period::Daily.into(), pb::Period::Weekly.into(), pb::Period::AllTime.into());
    let old = monday().saturating_sub(60.days()).to_string();
    let long = "x".repeat(10_000);
    for (wrong, board, period, date) in [
        ("board", "venues", daily, ""),
        ("board", "Items", weekly, ""),
        ("board", " items", all, ""),
        ("board", "{items}", daily, ""),
        ("board", long.as_str(), daily, ""),
        ("period", "items", 0, ""),
        ("period", "items", 4, ""),
        ("period", "items", -1, ""),
        ("date", "", daily, "today"),
        ("date", "", daily, "2026-02-30"),
        ("date", "", daily, "2026-1-1"),
        ("date", "", daily, "20260101"),
        ("date", "", weekly, "2026-W48"),
        ("date", "", weekly, "2026-11-27T00:00:00Z"),
        ("date", "", daily, "+002026-11-27"),
        ("date", "", daily, "２０２６-11-27"),
        ("date", "", daily, "9999-12-31"),
        ("date", "", weekly, "0000-01-01"),
        ("date", "", daily, "-009999-01-01"),
        ("date", "", daily, long.as_str()),
        ("date", "", daily, old.as_str()),
        ("date", "", weekly, old.as_str()),
        ("date", "", all, old.as_str()),
    ] {
        let named = Named { board: board.to_owned(), period, date: date.to_owned() };
        for (method, answer) in every(&mut service, &named).await {
            assert_eq!(field(answer), wrong, "{method} {board:.20} {period} {date:.20}");
        }
    }
    refuses_numbers_and_names(&mut service, &day.to_string()).await;
    let after = (scene.dump().await, scene.seen(boards_of(day)[0]).await, scene.seen(boards_of(day)[1]).await);
    assert_eq!(before, after);
    service.stop().await;
    scene.end().await;
}

async fn refuses_numbers_and_names(service: &mut Service, day: &str) {
    for (period, date, limit) in [
        (pb::Period::Daily, day, -1),
        (pb::Period::Weekly, day, 101),
        (pb::Period::Daily, day, i32::MAX),
        (pb::Period::Daily, day, i32::MIN),
        (pb::Period::AllTime, "", 6),
    ] {
        assert_eq!(field(service.top(period, date, limit).await), "limit", "{limit}");
    }
    let rank = |period: pb::Period, date: &str, item_id: &str| pb::GetRankRequest {
        board: String::new(),
        period: period.into(),
        date: date.to_owned(),
        item_id: item_id.to_owned(),
    };
    for item in ["", " ", "a b", "a:b", "{a}", "쿠폰", "\0", &"x".repeat(65)] {
        assert_eq!(field(service.client.get_rank(rank(pb::Period::Daily, day, item)).await), "item_id", "{item:?}");
    }
    assert_eq!(reason(service.client.get_rank(rank(pb::Period::Daily, day, "nobody")).await), "RANK_NOT_FOUND");
    // Of all time nobody has a rank, and nothing is made anew.
    assert_eq!(field(service.client.get_rank(rank(pb::Period::AllTime, "", "tea")).await), "period");
    let all = pb::RebuildBoardRequest { period: pb::Period::AllTime.into(), ..pb::RebuildBoardRequest::default() };
    assert_eq!(field(service.client.rebuild_board(all).await), "period");
}

#[tokio::test]
async fn settings_that_cannot_be_worked_with_are_refused_before_anything_is_opened() {
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        config: ranking::Config,
    }
    let flags = |more: &[&str]| Flags::try_parse_from(["test"].iter().chain(more));
    assert!(flags(&[]).is_ok());
    for wrong in [
        ["--ranking-time-zone", "Asia/Atlantis"],
        ["--ranking-time-zone", ""],
        ["--ranking-venue-time-zone", "venue"],
        ["--ranking-venue-time-zone", "a=Asia/Seoul,b"],
        ["--ranking-venue-time-zone", "a b=Asia/Seoul"],
    ] {
        assert!(flags(&wrong).is_err(), "{wrong:?}");
    }
    let repeated = ["--ranking-venue-time-zone", "a=Asia/Seoul,b=Asia/Tokyo", "--ranking-venue-time-zone", "c=UTC"];
    let config = flags(&repeated).unwrap().config;
    assert_eq!(config.venue_time_zones.len(), 3);
    assert!(config.check().is_ok());
    let twice = flags(&["--ranking-venue-time-zone", "a=Asia/Seoul,a=UTC"]).unwrap().config.check().unwrap_err();
    assert_eq!(twice.to_string(), "--ranking-venue-time-zone names a twice");
}
