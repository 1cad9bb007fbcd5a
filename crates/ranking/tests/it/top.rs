//! All time: however many ask at once, PostgreSQL is asked once; others hear of changes; what is old is told while it cannot be asked
//! for again, and no longer.

use std::time::Duration;

use fred::interfaces::KeysInterface as _;
use futures::future::join_all;
use kit::redis::{Listener, Redis};
use proto::ranking::v1 as pb;
use ranking::all_time::{AllTime, Spans};
use ranking::redis::Boards;
use trial::chaos::Proxy;

use crate::calendar::{noon, sunday};
use crate::scene::{Scene, cancelled, order, paid};
use crate::service::{Service, process, until};

/// Who ask at once.
const READERS: usize = 1_000;
/// How often the table of all time was read, as PostgreSQL itself counts it.
const READS: &str = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables
    WHERE schemaname = 'ranking' AND relname = 'all_time'";

/// A thousand ask at once, and are all told the same.
async fn ask(all_time: &AllTime) -> Vec<i64> {
    let asked = join_all((0..READERS).map(|_| all_time.top())).await;
    let scores = asked.into_iter().map(|top| top.unwrap().entries.iter().map(|entry| entry.score).collect::<Vec<_>>());
    let mut scores: Vec<_> = scores.collect();
    scores.dedup();
    assert_eq!(scores.len(), 1, "not all are told the same: {scores:?}");
    scores.remove(0)
}

/// Whoever keeps the top of all time, in a process of its own, with its own way to PostgreSQL.
struct Keeper {
    all_time: AllTime,
    pool: kit::postgres::Pool,
    process: kit::boot::Process,
    running: tokio::task::JoinHandle<std::process::ExitCode>,
}

impl Keeper {
    async fn start(scene: &Scene, spans: Spans) -> Self {
        Self::start_through(scene, &scene.servers, spans).await
    }

    async fn start_through(scene: &Scene, servers: &kit::config::Servers, spans: Spans) -> Self {
        let (process, running) = process().await;
        let pool = kit::postgres::connect(servers, ranking::SERVICE).await.unwrap();
        let redis = Redis::connect(&scene.servers, 1, ranking::LIBRARIES).await.unwrap();
        let listener = Listener::connect(&scene.servers).await.unwrap();
        let boards = Boards::new(redis, &scene.servers);
        let all_time = AllTime::start(&process, &pool, &boards, &listener, spans);
        Self { all_time, pool, process, running }
    }

    async fn stop(self) {
        self.process.stop();
        self.running.await.unwrap();
        self.pool.close().await;
    }
}

/// How often PostgreSQL says that it was asked, once all who asked have left: then it has counted everything.
async fn reads(scene: &Scene) -> i64 {
    until("those who asked have left", async || {
        scene
            .number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'ranking'")
            .await
            == 0
    })
    .await;
    scene.number(READS).await
}

/// A scene in which some things were sold, and nobody is there who would ask by himself.
async fn sold(name: &str) -> Scene {
    let scene = Scene::new(name).await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let sale = order(
        "o1",
        noon(sunday()),
        &[("a", 7, "v"), ("b", 6, "v"), ("c", 5, "v"), ("d", 5, "v"), ("e", 3, "v"), ("f", 2, "v")],
    );
    scene.tell(&[paid(&sale)]).await;
    service.until_all_time(&[("a", 7), ("b", 6), ("c", 5), ("d", 5), ("e", 3)]).await;
    scene.settled().await;
    service.stop().await;
    scene
}

async fn forget(scene: &Scene) {
    let _: i64 = scene.redis.del(scene.boards.top_key()).await.unwrap();
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_ask_postgres_once() {
    let scene = sold("top-readers").await;
    // Nobody knows anything yet.
    forget(&scene).await;
    let before = reads(&scene).await;
    let keeper = Keeper::start(&scene, Spans::default()).await;
    assert_eq!(ask(&keeper.all_time).await, [7, 6, 5, 5, 3]);
    assert_eq!(ask(&keeper.all_time).await, [7, 6, 5, 5, 3]);
    keeper.stop().await;
    assert_eq!(reads(&scene).await - before, 1, "nobody knew");

    // Redis knows: PostgreSQL need not be asked.
    let before = reads(&scene).await;
    let keeper = Keeper::start(&scene, Spans::default()).await;
    assert_eq!(ask(&keeper.all_time).await, [7, 6, 5, 5, 3]);
    keeper.stop().await;
    assert_eq!(reads(&scene).await - before, 0, "Redis knew");
    scene.end().await;
}

/// At the moment at which what is known is not fresh any more, in two processes at once.
#[tokio::test]
async fn a_thousand_who_ask_at_its_expiry_ask_postgres_once() {
    let scene = sold("top-expiry").await;
    forget(&scene).await;
    let before = reads(&scene).await;
    let spans = Spans { fresh: Duration::from_secs(10), stale: Duration::from_secs(60) };
    let (one, other) = (Keeper::start(&scene, spans).await, Keeper::start(&scene, spans).await);
    ask(&one.all_time).await;
    ask(&other.all_time).await;
    let first = one.all_time.top().await.unwrap().as_of;
    assert_eq!(other.all_time.top().await.unwrap().as_of, first, "the one knows from the other");
    // Then nothing of it is fresh, in memory or in Redis.
    tokio::time::sleep(spans.fresh + Duration::from_millis(100)).await;
    let expired = tokio::time::Instant::now();
    // They are told what was known: nobody waits.
    let told = tokio::join!(ask(&one.all_time), ask(&other.all_time));
    assert_eq!(told, (vec![7, 6, 5, 5, 3], vec![7, 6, 5, 5, 3]));
    until("both know it anew", async || {
        let (one, other) = (one.all_time.top().await.unwrap().as_of, other.all_time.top().await.unwrap().as_of);
        one > first && other == one
    })
    .await;
    tokio::join!(ask(&one.all_time), ask(&other.all_time));
    assert!(expired.elapsed() < spans.fresh / 2, "this machine is too slow to tell");
    one.stop().await;
    other.stop().await;
    assert_eq!(reads(&scene).await - before, 2, "once at first, and once as it was old");
    scene.end().await;
}

#[tokio::test]
async fn another_process_hears_of_a_change() {
    let scene = sold("top-change").await;
    // What is known stays fresh for longer than this test takes: only what is heard can change it.
    let spans = Spans { fresh: Duration::from_secs(3_600), stale: Duration::from_secs(7_200) };
    let keeper = Keeper::start(&scene, spans).await;
    until("the channel is listened to", async || {
        let channel = scene.boards.changes();
        let heard: fred::types::Value = {
            use fred::interfaces::PubsubInterface as _;
            scene.redis.pubsub_shardnumsub(vec![channel]).await.unwrap()
        };
        heard.into_array().iter().any(|part| part.as_i64() == Some(1))
    })
    .await;
    assert_eq!(ask(&keeper.all_time).await, [7, 6, 5, 5, 3]);
    let service = Service::start(&scene.servers, &[]).await;
    let more = order("o2", noon(sunday()), &[("f", 10, "v")]);
    scene.tell(&[paid(&more)]).await;
    until("what was sold is heard of", async || keeper.all_time.top().await.unwrap().entries[0].score == 12).await;
    scene.tell(&[cancelled(&more)]).await;
    until("what was cancelled is heard of", async || keeper.all_time.top().await.unwrap().entries[0].score == 7).await;
    // What does not change the top is told to nobody.
    let before = keeper.all_time.top().await.unwrap().as_of;
    scene.tell(&[paid(&order("o3", noon(sunday()), &[("z", 1, "v")]))]).await;
    scene.settled().await;
    service.stop().await;
    assert_eq!(keeper.all_time.top().await.unwrap().as_of, before);
    keeper.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn what_is_old_is_told_while_postgres_is_away_and_no_longer() {
    let scene = sold("top-stale").await;
    forget(&scene).await;
    let (proxy, url) = Proxy::in_front_of(scene.servers.postgres_url.expose()).await;
    let servers = kit::config::Servers { postgres_url: url.into(), ..scene.servers.clone() };
    let spans = Spans { fresh: Duration::from_millis(200), stale: Duration::from_secs(6) };
    let keeper = Keeper::start_through(&scene, &servers, spans).await;
    let known = keeper.all_time.top().await.unwrap();
    let read = tokio::time::Instant::now();
    proxy.cut();
    // It was asked for again before that was cut, if at all.
    loop {
        match keeper.all_time.top().await {
            Ok(top) => {
                assert!(read.elapsed() < spans.stale + Duration::from_secs(1), "it is told for too long");
                assert_eq!(top.entries, known.entries);
            }
            Err(kit::error::Error::Unavailable(_)) => break,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(read.elapsed() > spans.stale - Duration::from_secs(1), "it was told for {:?} only", read.elapsed());
    // A thousand who ask then wait for one question, and are all told so.
    let asked = join_all((0..READERS).map(|_| keeper.all_time.top())).await;
    assert!(asked.iter().all(Result::is_err));
    proxy.heal();
    until("PostgreSQL is back", async || keeper.all_time.top().await.is_ok()).await;
    keeper.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn clients_are_told_as_of_when_and_at_most_five() {
    let scene = sold("top-client").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    service.until_all_time(&[("a", 7), ("b", 6), ("c", 5), ("d", 5), ("e", 3)]).await;
    let listed = service.top(pb::Period::AllTime, "", 2).await.unwrap();
    let told: Vec<_> = listed.entries.iter().map(|entry| (entry.rank, entry.item_id.as_str(), entry.score)).collect();
    assert_eq!((told, listed.date.as_str()), (vec![(1, "a", 7), (2, "b", 6)], ""));
    assert!(listed.as_of.unwrap().seconds > sunday().day().into());
    assert_eq!(service.top(pb::Period::AllTime, "", 0).await.unwrap().entries.len(), 5);
    service.stop().await;
    scene.end().await;
}
