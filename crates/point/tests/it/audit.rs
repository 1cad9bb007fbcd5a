//! The audit finds each defect that is planted into a copy of the data, and nothing else.

use futures::StreamExt as _;
use proto::point::v1 as pb;
use sqlx::Connection as _;
use trial::ground::Ground;

use crate::service::{Service, admin, deduct, earn, later, servers};

/// A defect, and the sentences that must be said of it.
struct Defect {
    name: &'static str,
    plant: &'static str,
    sentences: &'static [&'static str],
}

/// Nobody but a superuser who means it can change entries.
const FREE: &str = "ALTER TABLE point.entry DISABLE TRIGGER ALL;";

/// ann earned 100, and 20 that expire; order o1 took 30 and gave them back, o2 took 40, with those that expire; o3 was undone before
/// it began. bob earned 5, and cid 20 that expire.
const DEFECTS: [Defect; 19] = [
    Defect { name: "none", plant: "SELECT 1", sentences: &[] },
    Defect {
        name: "balance",
        plant: "UPDATE point.account SET balance = balance + 1 WHERE user_id = 'bob'",
        sentences: &["the sum over all accounts is 1, and not 0 (I6)", "bob: the balance is 6, and the sum of the entries 5 (I6)"],
    },
    Defect {
        name: "balances-even",
        plant: "UPDATE point.account SET balance = balance + CASE user_id WHEN 'bob' THEN 1 ELSE -1 END WHERE user_id <> 'cid'",
        sentences: &["bob: the balance is 6, and the sum of the entries 5 (I6)", "ann: the balance is 79, and the sum of the entries 80 (I6)"],
    },
    Defect {
        name: "negative",
        plant: "ALTER TABLE point.account DROP CONSTRAINT account_balance_check;
                UPDATE point.account SET balance = -5 WHERE user_id = 'bob'",
        sentences: &[
            "the sum over all accounts is -10",
            "bob: the balance is -5, and the sum of the entries 5 (I6)",
            "bob: the balance is -5, below zero (I6)",
        ],
    },
    Defect {
        name: "negative-entry",
        plant: "ALTER TABLE point.entry DROP CONSTRAINT entry_balance_after_check;
                UPDATE point.entry SET balance_after = -5 WHERE user_id = 'bob'",
        sentences: &["bob: entry 1 does not follow from the one before (I6)", "bob: entry 1 leaves less than nothing (I6)"],
    },
    Defect {
        name: "version",
        plant: "UPDATE point.account SET version = 2 WHERE user_id = 'bob'",
        sentences: &["bob: 2 entries are counted, and there are 1 (I6)"],
    },
    Defect {
        name: "entry-gone",
        plant: "DELETE FROM point.entry WHERE user_id = 'ann' AND nth = 2",
        sentences: &[
            "the sum over all accounts is 20",
            "ann: the balance is 80, and the sum of the entries 60 (I6)",
            "ann: 5 entries are counted, and there are 4 (I6)",
            "ann: entry 3 does not follow from the one before (I6)",
        ],
    },
    Defect {
        name: "entry-changed",
        plant: "UPDATE point.entry SET amount = 6 WHERE user_id = 'bob'",
        sentences: &[
            "the sum over all accounts is -1",
            "bob: the balance is 5, and the sum of the entries 6 (I6)",
            "bob: entry 1 does not follow from the one before (I6)",
        ],
    },
    Defect {
        name: "entry-twice",
        plant: "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, created_at)
                VALUES ('bob', 2, 'EARN', 5, 10, now())",
        sentences: &[
            "the sum over all accounts is -5",
            "bob: the balance is 5, and the sum of the entries 10 (I6)",
            "bob: 1 entries are counted, and there are 2 (I6)",
        ],
    },
    Defect {
        name: "time-back",
        plant: "UPDATE point.entry SET created_at = created_at - interval '1 hour' WHERE user_id = 'ann' AND nth = 3",
        sentences: &["ann: entry 3 does not follow from the one before (I6)"],
    },
    Defect {
        name: "no-account",
        plant: "DELETE FROM point.account WHERE user_id = 'bob'",
        sentences: &["the sum over all accounts is -5", "bob: there are 1 entries and 0 points that expire, and no account (I6)"],
    },
    Defect {
        name: "lots-too-many",
        plant: "UPDATE point.lot SET remaining = 21",
        sentences: &["cid: 21 points are to expire, and the balance is 20 (I6)"],
    },
    Defect {
        name: "lot-forgotten",
        plant: "UPDATE point.account SET next_expiry = NULL",
        sentences: &["cid: the account and its lots disagree about what expires next (I6)"],
    },
    Defect {
        name: "refunded-twice",
        plant: "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, order_id, created_at)
                VALUES ('ann', 6, 'REFUND', 30, 110, 'o1', now());
                UPDATE point.account SET balance = 110, version = 6 WHERE user_id = 'ann'",
        sentences: &["ann: entry 6 is for an order that does not know of it (I8)"],
    },
    Defect {
        name: "refunded-more",
        plant: "ALTER TABLE point.order_use DROP CONSTRAINT order_use_check;
                UPDATE point.order_use SET refunded = 31 WHERE order_id = 'o1'",
        sentences: &[
            "order o1: 31 points were given back, and 30 taken (I6)",
            "order o1: 31 points were given back, and its entry says 30 (I8)",
            "order o1: it is undone, and of 30 points 31 were given back (I8)",
        ],
    },
    Defect {
        name: "undone-not-back",
        plant: "UPDATE point.order_use SET undone = true WHERE order_id = 'o2'",
        sentences: &["order o2: it is undone, and of 40 points 0 were given back (I8)"],
    },
    Defect {
        name: "taken-other",
        plant: "UPDATE point.order_use SET taken = 41 WHERE order_id = 'o2'",
        sentences: &["order o2: 41 points were taken, and its entry says 40 (I8)"],
    },
    Defect {
        name: "order-gone",
        plant: "DELETE FROM point.order_use WHERE order_id = 'o2'",
        sentences: &["ann: entry 5 is for an order that does not know of it (I8)"],
    },
    Defect {
        name: "parked",
        plant: "INSERT INTO point.parked (consumer, parking_key, topic, partition, \"offset\", headers, payload, cause, attempts)
                VALUES ('point', 'o1', 't', 0, 0, '{}', '', 'poison', 3)",
        sentences: &["1 events of the consumer point are parked, `booster dlq list` shows them (I10)"],
    },
];

#[tokio::test]
async fn each_planted_defect_is_found_and_nothing_else() {
    let mut service = Service::start("audit").await;
    service.earn("ann", 100).await;
    let soon = pb::EarnPointsRequest { expires_at: Some(later(3_600_000)), ..earn("ann", 20) };
    service.try_earn(soon).await.unwrap();
    service.orders.take("o1", "ann", 30).await;
    service.orders.undo("o1", "ann", 30).await;
    service.deduct("ann", 40, "o2").await.unwrap();
    service.orders.undo("o3", "ann", 7).await;
    service.earn("bob", 5).await;
    let more = pb::EarnPointsRequest { expires_at: Some(later(3_600_000)), ..earn("cid", 20) };
    service.try_earn(more).await.unwrap();
    let ground = service.stop().await;
    let mut copies = Vec::new();
    for defect in DEFECTS {
        // One after the other: PostgreSQL copies a database only while nobody else does.
        copies.push((ground.copy(defect.name).await, defect));
    }
    futures::stream::iter(copies).for_each_concurrent(2, |(copy, defect)| find(copy, defect)).await;
    ground.end().await;
}

async fn find(copy: Ground, defect: Defect) {
    let mut admin = admin(&copy).await;
    sqlx::raw_sql(FREE).execute(&mut admin).await.unwrap();
    sqlx::raw_sql(defect.plant).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let report = point::audit::run(&servers(&copy)).await.unwrap();
    let (name, found) = (defect.name, &report.violations);
    assert_eq!(found.len(), defect.sentences.len(), "{name}: {found:#?}");
    for sentence in defect.sentences {
        assert!(found.iter().any(|line| line.contains(sentence)), "{name}: {sentence:?} is not in {found:#?}");
    }
    assert_eq!((report.orders, name), (if name == "order-gone" { 2 } else { 3 }, name));
    copy.end().await;
}

#[tokio::test]
async fn the_service_answers_what_the_audit_finds() {
    let mut service = Service::start("audit-rpc").await;
    // More than a page of accounts, and of orders.
    let calls = (0..600).map(|nth| {
        let (mut client, user_id) = (service.client.clone(), format!("u{nth}"));
        async move {
            client.earn_points(earn(&user_id, 10)).await.unwrap();
            client.deduct_points(deduct(&user_id, 3, &format!("o{nth}"))).await.unwrap();
        }
    });
    // Not more than a connection may have in hand.
    futures::stream::iter(calls).buffer_unordered(100).collect::<Vec<()>>().await;
    service.refund("o1").await.unwrap();
    let answer = service.client.audit_ledger(pb::AuditLedgerRequest {}).await.unwrap().into_inner();
    let clean = pb::AuditLedgerResponse { accounts: 600, entries: 1_201, sum: 0, violations: Vec::new() };
    assert_eq!(answer, clean);
    let pool = kit::postgres::connect(&servers(&service.ground), point::SERVICE).await.unwrap();
    let net = point::audit::of_orders(&pool, &["o1", "o599", "never"].map(str::to_owned)).await.unwrap();
    assert_eq!(net, [("o1".to_owned(), 0), ("o599".to_owned(), 3)].into());

    sqlx::raw_sql("UPDATE point.account SET balance = balance + 1; UPDATE point.order_use SET undone = true")
        .execute(&mut admin(&service.ground).await)
        .await
        .unwrap();
    let answer = service.client.audit_ledger(pb::AuditLedgerRequest {}).await.unwrap().into_inner();
    assert_eq!((answer.accounts, answer.sum, answer.violations.len()), (600, 600, 100));
    service.end().await;
}
