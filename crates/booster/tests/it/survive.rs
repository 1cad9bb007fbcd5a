//! Processes are killed in the middle, and everyone who was told yes is in PostgreSQL with the same rank.

use std::time::Duration;

use trial::process::{Child, Program};
use trial::rush::{Args, Verdict, run};

use crate::booster::{PATH, is_full, promotions, told};

/// A rush at a size that every run can carry, or a full one.
fn rush(processes: &[Child], postgres_url: &kit::config::Secret) -> Args {
    let (users, stock) = if is_full() { (100_000, 10_000) } else { (10_000, 1_000) };
    let addrs = processes.iter().map(Child::grpc_url).collect();
    let deal = format!("survive-{users}-{}", kit::id::fresh());
    let journal = trial::ground::root().join(format!("target/trial/{deal}.jsonl"));
    let (deal, journal, postgres_url) = (Some(deal), Some(journal), Some(postgres_url.clone()));
    Args { addrs, users, stock, deal, journal, postgres_url, ..Args::default() }
}

fn assert_exact(verdict: &Verdict) {
    assert!(verdict.is_exact(), "{verdict:?}");
}

#[tokio::test]
async fn two_processes_share_a_rush_and_nothing_is_given_twice() {
    let (ground, _) = promotions("survive-two", 0).await;
    // Both start at once on servers that nobody has used yet.
    let start = || Program::new("survive-two", PATH).args(["promotion"]).envs(ground.env()).start();
    let (first, second) = tokio::join!(start(), start());
    let mut processes = [first, second];
    let report = run(&rush(&processes, &ground.servers().postgres_url)).await.unwrap();
    assert_exact(&report.verdict);
    for process in &mut processes {
        assert_eq!(process.stop().await, Some(0));
    }
    ground.end().await;
}

#[tokio::test]
async fn a_process_that_is_killed_in_a_rush_loses_nothing() {
    let (ground, mut processes) = promotions("survive-kill", 2).await;
    let args = rush(&processes, &ground.servers().postgres_url);
    // The relay is in the first process: what it had read and not sent must come from the second.
    let (first, _second) = processes.split_at_mut(1);
    let kill = async {
        for pause_ms in [300, 900, 1_500] {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            first[0].kill9().await;
            first[0].start_again().await;
        }
    };
    let (report, ()) = tokio::join!(run(&args), kill);
    assert_exact(&report.unwrap().verdict);
    ground.end().await;
}

#[tokio::test]
async fn a_relay_that_is_paused_is_replaced_and_does_no_harm_when_it_wakes() {
    let (ground, mut processes) = promotions("survive-pause", 2).await;
    let postgres_url = ground.servers().postgres_url;
    // The first process relays, and consumes its share. What is claimed while it is paused has to arrive without it.
    processes[0].signal("STOP").await;
    let report = run(&rush(&processes[1..], &postgres_url)).await.unwrap();
    assert_exact(&report.verdict);
    processes[0].signal("CONT").await;
    let report = run(&rush(&processes, &postgres_url)).await.unwrap();
    assert_exact(&report.verdict);
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 0 violations\n"));
    for process in &mut processes {
        assert_eq!(process.stop().await, Some(0));
    }
    ground.end().await;
}
