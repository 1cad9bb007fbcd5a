//! Entries are never changed, by nobody: the database itself refuses.

use crate::service::{Service, admin};

#[tokio::test]
async fn an_entry_cannot_be_changed_and_a_balance_not_fall_below_zero() {
    let mut service = Service::start("append-only").await;
    service.earn("ann", 10).await;
    service.deduct("ann", 4, "o1").await.unwrap();
    let mut admin = admin(&service.ground).await;
    for (statement, words) in [
        ("UPDATE point.entry SET amount = 11 WHERE nth = 1", "append only"),
        ("DELETE FROM point.entry", "append only"),
        ("TRUNCATE point.entry", "append only"),
        (
            "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, created_at) VALUES ('ann', 1, 'EARN', 1, 1, now())",
            "entry_pkey",
        ),
        (
            "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, created_at) VALUES ('ann', 3, 'EARN', -1, 1, now())",
            "entry_check",
        ),
        (
            "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, created_at) VALUES ('ann', 3, 'GIFT', 1, 1, now())",
            "entry_check",
        ),
        (
            "INSERT INTO point.entry (user_id, nth, kind, amount, balance_after, created_at) VALUES ('ann', 3, 'DEDUCT', -9, -3, now())",
            "balance_after_check",
        ),
        ("UPDATE point.account SET balance = -1", "account_balance_check"),
        ("UPDATE point.order_use SET refunded = 5", "order_use_check"),
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut admin).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{statement}: {refused}");
    }
    assert_eq!(service.available("ann").await, 6);
    service.end_clean().await;
}
