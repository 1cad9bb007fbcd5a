//! The servers are hurt in a rush, and nothing that was told yes is lost or given twice.

use std::time::Duration;

use trial::process::{Child, Program};
use trial::rush::{Args, Report, run};
use trial::servers::Private;

use crate::booster::{PATH, told_with};

/// Servers of the test's own, prepared, and two processes of promotion.
async fn promotions(name: &'static str) -> (Private, Vec<Child>) {
    let servers = tokio::task::spawn_blocking(move || Private::start(name)).await.unwrap();
    told_with(servers.env(), &["migrate"]).await;
    let mut children = Vec::new();
    for _ in 0..2 {
        children.push(Program::new(name, PATH).args(["promotion"]).envs(servers.env()).start().await);
    }
    (servers, children)
}

/// A rush, slow enough that the fault falls into it.
fn rush(name: &str, processes: &[Child], servers: &Private) -> Args {
    let deal = format!("{name}-{}", kit::id::fresh());
    Args {
        addrs: processes.iter().map(Child::grpc_url).collect(),
        users: 20_000,
        stock: 15_000,
        connections: 4,
        in_flight: 16,
        patience: Duration::from_secs(90),
        settle: Duration::from_secs(90),
        journal: Some(trial::ground::root().join(format!("target/trial/{deal}.jsonl"))),
        deal: Some(deal),
        postgres_url: Some(servers.postgres_url()),
        ..Args::default()
    }
}

/// Runs a rush, hurts the servers in the middle of it, and judges. The audit has the last word.
async fn survives(name: &'static str, hurt: impl Fn(&Private) + Send + Sync + 'static) -> Report {
    let (servers, processes) = promotions(name).await;
    let args = rush(name, &processes, &servers);
    let (env, servers) = (servers.env(), std::sync::Arc::new(servers));
    let fault = {
        let servers = servers.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            tokio::task::spawn_blocking(move || hurt(&servers)).await.unwrap();
        }
    };
    let (report, ()) = tokio::join!(run(&args), fault);
    let report = report.unwrap();
    assert!(report.verdict.is_exact(), "{report}");
    let audit = told_with(env, &["audit"]).await;
    assert!(audit.contains(" 15000 coupons, 0 violations"), "{audit}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn every_redis_primary_is_killed_and_restarted_on_its_own_disk() {
    let report = survives("redis", |servers| {
        servers.kill_redis_primaries();
        std::thread::sleep(Duration::from_secs(2));
        servers.restart_redis();
    })
    .await;
    assert!(report.unknown > 0, "the fault fell beside the rush: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_killed_and_claims_go_on() {
    survives("kafka", |servers| {
        servers.kill_kafka();
        std::thread::sleep(Duration::from_secs(5));
        servers.restart_kafka();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_crashes_twice_and_claims_go_on() {
    survives("postgres", |servers| {
        servers.crash_postgres();
        std::thread::sleep(Duration::from_secs(2));
        servers.crash_postgres();
    })
    .await;
}
