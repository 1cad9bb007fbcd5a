//! Requests that come again: the same answer, and one effect; another content under the same key is refused.

use proto::point::v1 as pb;

use crate::service::{Service, admin, deduct, earn, fresh, number, reason, until};

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_has_one_effect() {
    let mut service = Service::start("requests").await;
    let earned = pb::EarnPointsRequest { reason: "birthday".to_owned(), ..earn("ann", 50) };
    let first = service.try_earn(earned.clone()).await.unwrap();
    assert_eq!((first.amount, first.balance_after, first.reason.as_str()), (50, 50, "birthday"));
    assert_eq!((first.entry_id.as_str(), first.request_id.as_str()), ("ann-1", earned.request_id.as_str()));

    let out = deduct("ann", 20, "o1");
    let taken = service.client.deduct_points(out.clone()).await.unwrap().into_inner();
    let refused = deduct("ann", 31, "o2");
    assert_eq!(reason(service.client.deduct_points(refused.clone()).await), "INSUFFICIENT_POINTS");
    let back = pb::RefundPointsRequest { order_id: "o1".to_owned(), request_id: fresh() };
    let given = service.client.refund_points(back.clone()).await.unwrap().into_inner();
    let nothing = pb::RefundPointsRequest { order_id: "o3".to_owned(), request_id: fresh() };
    assert_eq!(service.client.refund_points(nothing.clone()).await.unwrap().into_inner().entry, None);

    for _ in 0..2 {
        assert_eq!(service.try_earn(earned.clone()).await.unwrap(), first);
        assert_eq!(service.client.deduct_points(out.clone()).await.unwrap().into_inner(), taken);
        // There would be enough by now: but this is what its client was told.
        assert_eq!(reason(service.client.deduct_points(refused.clone()).await), "INSUFFICIENT_POINTS");
        assert_eq!(service.client.refund_points(back.clone()).await.unwrap().into_inner(), given);
        assert_eq!(service.client.refund_points(nothing.clone()).await.unwrap().into_inner().entry, None);
    }
    assert_eq!((service.available("ann").await, service.story("ann").await.len()), (50, 3));
    service.end_clean().await;
}

#[tokio::test]
async fn another_content_under_the_same_key_is_refused() {
    let mut service = Service::start("requests-reused").await;
    let request_id = fresh();
    let first = pb::EarnPointsRequest { request_id: request_id.clone(), ..earn("ann", 50) };
    service.try_earn(first.clone()).await.unwrap();
    for other in [
        pb::EarnPointsRequest { amount: 51, ..first.clone() },
        pb::EarnPointsRequest { user_id: "bob".to_owned(), ..first.clone() },
        pb::EarnPointsRequest { reason: "x".to_owned(), ..first.clone() },
        pb::EarnPointsRequest { expires_at: Some(crate::service::later(60_000)), ..first.clone() },
    ] {
        assert_eq!(reason(service.try_earn(other).await), "REQUEST_ID_REUSED");
    }
    // Another method, whose message reads the same on the wire.
    let reads = pb::EarnPointsRequest { reason: "o1".to_owned(), ..earn("ann", 5) };
    service.try_earn(reads.clone()).await.unwrap();
    let same = pb::DeductPointsRequest { request_id: reads.request_id, ..deduct("ann", 5, "o1") };
    assert_eq!(reason(service.client.deduct_points(same).await), "REQUEST_ID_REUSED");
    let back = pb::RefundPointsRequest { order_id: "o1".to_owned(), request_id };
    assert_eq!(reason(service.client.refund_points(back).await), "REQUEST_ID_REUSED");
    assert_eq!((service.available("ann").await, service.available("bob").await), (55, 0));
    service.end_clean().await;
}

#[tokio::test]
async fn one_request_by_many_and_by_two_processes_at_once_has_one_effect() {
    let service = Service::start("requests-race").await;
    let (other, running) = service.beside().await;
    for round in 0..10 {
        let request = pb::EarnPointsRequest { request_id: format!("same-{round}"), ..earn("ann", 7) };
        let calls = (0..20).map(|nth| {
            let mut client = if nth % 2 == 0 { service.client.clone() } else { other.clone() };
            let request = request.clone();
            async move { client.earn_points(request).await.unwrap().into_inner() }
        });
        let entries = futures::future::join_all(calls).await;
        assert!(entries.iter().all(|entry| *entry == entries[0]), "{entries:?}");
        // The same key for different accounts: one has it, and the others are told.
        let calls = (0..20).map(|nth| {
            let mut client = if nth % 2 == 0 { service.client.clone() } else { other.clone() };
            let request = pb::EarnPointsRequest { request_id: format!("other-{round}"), ..earn(&format!("u{nth}"), 7) };
            async move { client.earn_points(request).await }
        });
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers.into_iter().filter(Result::is_err) {
            assert_eq!(reason(answer), "REQUEST_ID_REUSED");
        }
    }
    assert_eq!(number(&service.ground, "SELECT count(*) FROM point.entry").await, 20);
    drop(other);
    running.stop().await;
    service.end_clean().await;
}

#[tokio::test]
async fn a_request_is_forgotten_after_a_day() {
    let mut service = Service::start("requests-day").await;
    let (kept, old) = (earn("ann", 1), earn("ann", 2));
    service.try_earn(kept.clone()).await.unwrap();
    service.try_earn(old.clone()).await.unwrap();
    let ground = service.stop().await;
    let age = "UPDATE point.request SET created_at = created_at - CASE request_id WHEN $1 THEN interval '24 hours'
         ELSE interval '23 hours' END";
    sqlx::query(age).bind(&old.request_id).execute(&mut admin(&ground).await).await.unwrap();

    let mut service = Service::start_on(ground).await;
    let left = "SELECT count(*) FROM point.request";
    until("a request is forgotten", async || number(&service.ground, left).await == 1).await;
    service.try_earn(kept).await.unwrap();
    assert_eq!(service.try_earn(old).await.unwrap().balance_after, 5);
    service.end_clean().await;
}
