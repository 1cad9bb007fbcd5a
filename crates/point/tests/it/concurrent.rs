//! Many at once on one account: exact in the end, and never below zero.

use std::time::Duration;

use futures::StreamExt as _;
use proto::point::v1 as pb;
use tokio::time::Instant;
use tonic::Code;

use crate::service::{PATIENCE, Service, admin, deduct, earn, number};

#[tokio::test]
async fn two_hundred_at_once_on_one_account_end_exact() {
    let mut service = Service::start("concurrent").await;
    let (other, running) = service.beside().await;
    service.earn("ann", 100).await;
    // A hundred times 3 out and a hundred times 1 in: not all can be had.
    let calls = (0..200).map(|nth| {
        let mut client = if nth % 2 == 0 { service.client.clone() } else { other.clone() };
        async move {
            if nth % 4 < 2 {
                client.earn_points(earn("ann", 1)).await.map(|_| 1)
            } else {
                client.deduct_points(deduct("ann", 3, &format!("o{nth}"))).await.map(|_| -3)
            }
        }
    });
    let answers = futures::future::join_all(calls).await;
    let mut expected = 100;
    for answer in answers {
        match answer {
            Ok(amount) => expected += amount,
            Err(refused) => assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}"),
        }
    }
    let balance = service.balance("ann").await;
    assert_eq!(balance.available, expected);
    assert_eq!(number(&service.ground, "SELECT sum(amount)::bigint FROM point.entry").await, expected);
    assert_eq!(number(&service.ground, "SELECT min(balance_after) FROM point.entry").await.min(0), 0);
    // They were grouped: fewer words to others than entries.
    let told = "SELECT count(*) FROM point.outbox WHERE kind = 'booster.point.v1.BalanceChanged'";
    assert!(number(&service.ground, told).await < balance.version);
    drop(other);
    running.stop().await;
    service.end_clean().await;
}

#[tokio::test]
async fn orders_and_clients_of_many_accounts_at_once_do_not_wait_for_each_other() {
    let mut service = Service::start("concurrent-many").await;
    for nth in 0..10 {
        service.earn(&format!("u{nth}"), 1_000).await;
    }
    let calls = (0..200).map(|nth| {
        let (mut client, user_id) = (service.client.clone(), format!("u{}", nth % 10));
        async move {
            let order_id = format!("c{nth}");
            client.deduct_points(deduct(&user_id, 1, &order_id)).await.unwrap();
            let back = pb::RefundPointsRequest { order_id, request_id: format!("back-{nth}") };
            client.refund_points(back).await.unwrap();
        }
    });
    let events: Vec<_> = (0..200)
        .map(|nth| {
            let user_id = format!("u{}", (nth * 7) % 13);
            crate::orders::requested(&format!("e{nth}"), &user_id, 2, proto::r#type::v1::StepKind::Do)
        })
        .collect();
    // Not more than a connection may have in hand.
    let calls = futures::stream::iter(calls).buffer_unordered(100).collect::<Vec<()>>();
    futures::future::join(calls, service.orders.send(&events)).await;
    service.orders.all_read().await;
    let taken = number(&service.ground, "SELECT sum(taken - refunded)::bigint FROM point.order_use").await;
    assert_eq!(number(&service.ground, "SELECT sum(balance)::bigint FROM point.account").await, 10_000 - taken);
    assert!(taken > 0);
    service.end_clean().await;
}

/// Every connection is cut now and then, also while a batch is committed: whoever asks again with the same key is told what happened.
#[tokio::test]
async fn what_was_cut_off_is_asked_again_and_has_one_effect() {
    let service = Service::start("concurrent-cut").await;
    let mut admin = admin(&service.ground).await;
    let running = std::cell::Cell::new(true);
    let calls = futures::stream::iter(0..400_i64).map(|nth| {
        let mut client = service.client.clone();
        async move {
            let asked = earn("ann", nth + 1);
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = client.earn_points(asked.clone()).await {
                assert_eq!(error.code(), Code::Unavailable, "{error:?}");
                assert!(Instant::now() < deadline, "{error:?}");
            }
        }
    });
    let calls = async {
        calls.buffer_unordered(20).collect::<Vec<()>>().await;
        running.set(false);
    };
    let cuts = async {
        // Rarer and rarer, so that it ends on the slowest machine too.
        let (mut cuts, mut pause) = (0, Duration::from_millis(50));
        while running.get() {
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'booster-point' AND state <> 'idle'";
            cuts += sqlx::query_scalar::<_, i64>(cut).fetch_one(&mut admin).await.unwrap();
            tokio::time::sleep(pause).await;
            pause = pause * 5 / 4;
        }
        cuts
    };
    let ((), cuts) = futures::future::join(calls, cuts).await;
    assert!(cuts > 0, "nothing was cut off");
    let mut service = service;
    let balance = service.balance("ann").await;
    assert_eq!((balance.available, balance.version), (400 * 401 / 2, 400));
    service.end_clean().await;
}
