//! An operator's day: prepare, look, work with deals, drain.

use sqlx::Connection as _;
use trial::ground::Ground;

use crate::booster::{promotions, run, told};

#[tokio::test]
async fn an_operator_prepares_looks_and_drains() {
    let (ground, mut processes) = promotions("operate", 1).await;
    let url = processes[0].grpc_url();
    let addr = processes[0].grpc_addr().to_string();
    // What is prepared may be prepared again, also while it runs.
    assert!(told(Some(&ground), &["migrate"]).await.contains("0 tags stamped"));
    assert_eq!(told(None, &["healthcheck", "--grpc-addr", &addr]).await, "SERVING\n");

    let created = told(None, &["deal", "create", "lunch", "--stock", "1", "--percent", "20", "--addr", &url]).await;
    assert!(created.contains("remaining  1 of 1"), "{created}");
    let claimed = told(None, &["deal", "claim", "lunch", "ann", "--addr", &url]).await;
    assert!(claimed.contains("lunch-1"), "{claimed}");
    assert!(told(None, &["deal", "claim", "lunch", "ann", "--addr", &url]).await.contains("held already"));
    let refused = run(None, &["deal", "claim", "lunch", "bob", "--addr", &url]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("SOLD_OUT"));
    assert!(told(None, &["deal", "show", "lunch", "--addr", &url]).await.contains("SOLD_OUT"));

    assert_eq!(processes[0].stop().await, Some(0));
    let gone = run(None, &["healthcheck", "--grpc-addr", &addr]).await;
    assert_eq!(gone.status.code(), Some(1));
    ground.end().await;
}

#[tokio::test]
async fn an_audit_finds_what_was_done_by_hand_and_nothing_else() {
    let (ground, processes) = promotions("audit", 1).await;
    let url = processes[0].grpc_url();
    told(None, &["deal", "create", "lunch", "--stock", "3", "--percent", "20", "--addr", &url]).await;
    for user in ["ann", "bob"] {
        told(None, &["deal", "claim", "lunch", user, "--addr", &url]).await;
    }
    let clean = told(Some(&ground), &["audit"]).await;
    assert!(clean.ends_with("audit      1 deals, 2 coupons, 0 violations\n"), "{clean}");
    assert!(!clean.contains("violation "), "{clean}");

    let mut admin = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
    sqlx::raw_sql("DELETE FROM promotion.coupon WHERE rank = 2").execute(&mut admin).await.unwrap();
    let found = run(Some(&ground), &["audit", "--deal", "lunch"]).await;
    assert_eq!(found.status.code(), Some(1));
    let said = String::from_utf8(found.stdout).unwrap();
    assert_eq!(
        said,
        "violation  lunch: rank 2 is not in PostgreSQL (I2, I3)\naudit      1 deals, 1 coupons, 1 violations\n"
    );
    ground.end().await;
}

/// Roles belong to the server, and no lock of PostgreSQL's is seen by two of its databases.
#[tokio::test]
async fn databases_of_one_server_are_migrated_at_the_same_time() {
    let grounds = futures::future::join_all((0..6).map(|_| Ground::new("migrate-many"))).await;
    for _ in 0..4 {
        futures::future::join_all(grounds.iter().map(|ground| told(Some(ground), &["migrate"]))).await;
    }
    for ground in grounds {
        ground.end().await;
    }
}
