//! From start to end.

use crate::ask::{args, channel, get, start, until};
use crate::diary::Diary;
use crate::odd::{self, Odd};
use kit::boot::{CannotListen, Process, Stage};
use kit::error::Invalid;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A task that notes that it was told, takes `ms` milliseconds, and notes that it ended.
fn slow(process: &Process, stage: Stage, ms: u64, told: &'static str, ended: &'static str, diary: &Diary) {
    let diary = diary.clone();
    process.spawn(stage, told, |token| async move {
        token.cancelled().await;
        diary.note(told);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        diary.note(ended);
        Ok(())
    });
}

fn assert_code(code: ExitCode, expected: u8) {
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(expected)));
}

#[tokio::test]
async fn is_live_at_once_and_ready_once_everything_it_waits_for_is_there() {
    let process = start(&[]).await;
    let admin = process.admin_addr();
    process.readiness().waiting("promotion: redis", "connecting");
    assert_eq!(get(admin, "/livez").await, (200, "live\n".into()));
    assert_eq!(get(admin, "/readyz").await, (503, "process: starting\npromotion: redis: connecting\n".into()));
    let (code, ()) = tokio::join!(process.clone().run_to_end(), async {
        channel(&process).await;
        assert_eq!(get(admin, "/readyz").await, (503, "promotion: redis: connecting\n".into()));
        process.readiness().ready("promotion: redis");
        assert_eq!(get(admin, "/readyz").await, (200, "ready\n".into()));
        process.readiness().waiting("promotion: redis", "connection refused");
        assert_eq!(get(admin, "/readyz").await, (200, "ready\npromotion: redis: connection refused\n".into()));
        process.stop();
    });
    assert_code(code, 0);
}

#[tokio::test]
async fn drains_doors_then_work_then_stores_with_a_request_in_hand() {
    let diary = Diary::default();
    let process = Process::start(&args(&[]), odd::descriptors()).await.unwrap();
    process.serve(Odd(diary.clone()));
    slow(&process, Stage::Store, 0, "store told", "store ended", &diary);
    slow(&process, Stage::Work, 100, "work told", "work ended", &diary);
    slow(&process, Stage::Door, 0, "door told", "door ended", &diary);
    let (code, ()) = tokio::join!(process.clone().run_to_end(), async {
        let channel = channel(&process).await;
        let (answer, ()) = tokio::join!(odd::call(&channel, "Wait", None), async {
            // The request has arrived once it is counted as in hand.
            let in_hand = r#"booster_rpc_in_hand{method="booster.odd.v1.OddService/Wait"} 0"#;
            while get(process.admin_addr(), "/metrics").await.1.contains(in_hand) {}
            process.stop();
            assert_eq!(until(process.admin_addr(), 503).await, "draining\n");
        });
        answer.unwrap();
    });
    assert_code(code, 0);
    let order = ["door told", "door ended", odd::WAITED, "work told", "work ended", "store told", "store ended"];
    assert_eq!(diary.read(), order);
}

#[tokio::test]
async fn accepts_nobody_once_it_drains() {
    let process = start(&[]).await;
    let diary = Diary::default();
    slow(&process, Stage::Work, 300, "told", "ended", &diary);
    tokio::join!(process.clone().run_to_end(), async {
        channel(&process).await;
        process.stop();
        while tokio::net::TcpStream::connect(process.grpc_addr()).await.is_ok() {}
        assert_ne!(diary.read(), ["told", "ended"], "the port closes first");
    });
}

#[tokio::test]
async fn a_task_that_fails_or_panics_ends_the_process_in_order() {
    for panics in [false, true] {
        let process = start(&[]).await;
        let diary = Diary::default();
        slow(&process, Stage::Work, 50, "told", "ended", &diary);
        process.spawn(Stage::Door, "poller", |_| async move {
            assert!(!panics, "as asked");
            anyhow::bail!("as asked")
        });
        assert_code(process.run_to_end().await, 1);
        assert_eq!(diary.read(), ["told", "ended"]);
    }
}

#[tokio::test]
async fn ends_hard_when_the_grace_period_is_over() {
    let process = start(&["--drain-grace", "200ms"]).await;
    process.spawn(Stage::Work, "stuck", |_| std::future::pending());
    process.stop();
    let began = Instant::now();
    assert_code(process.run_to_end().await, 1);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_peer_that_never_closes_does_not_hold_up_the_drain() {
    let process = start(&[]).await;
    let (code, ()) = tokio::join!(process.clone().run_to_end(), async {
        // Connected, and silent for ever.
        let _silent = tokio::net::TcpStream::connect(process.grpc_addr()).await.unwrap();
        channel(&process).await;
        process.stop();
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    assert_code(code, 0);
}

#[tokio::test]
async fn what_cannot_be_worked_with_stops_it_before_anything_is_opened() {
    let error = Process::start(&args(&["--log-filter", "=,="]), &[]).await.err().unwrap();
    assert!(error.is::<Invalid>(), "{error:#}");
    let first = start(&[]).await;
    let taken = first.grpc_addr().to_string();
    let mut second = args(&[]);
    second.listen.grpc_addr = first.grpc_addr();
    let error = Process::start(&second, &[]).await.err().unwrap();
    assert!(error.is::<CannotListen>());
    assert!(format!("{error:#}").starts_with(&format!("--grpc-addr {taken} cannot be listened on: ")), "{error:#}");
}
