//! What the table refuses, whoever writes.

use crate::scene::{Scene, charge, undo};

/// What nobody may write, and the name of what refuses it. `charged`, `declined`, `voided` and `refunded` are orders of such payments.
const FORBIDDEN: [(&str, &str); 12] = [
    ("state = 'DECLINED', provider_reference = NULL WHERE order_id = 'charged'", "payment_forward"),
    ("state = 'PENDING', provider_reference = NULL WHERE order_id = 'charged'", "payment_forward"),
    ("state = 'CHARGED', refunded = 0 WHERE order_id = 'refunded'", "payment_forward"),
    ("state = 'DECLINED' WHERE order_id = 'voided'", "payment_forward"),
    ("amount = amount + 1 WHERE order_id = 'charged'", "payment_same"),
    ("currency = 'EUR' WHERE order_id = 'charged'", "payment_same"),
    ("wanted = 'CHARGE' WHERE order_id = 'voided'", "payment_kept"),
    ("answer = 'ORDER_UNDONE' WHERE order_id = 'charged'", "payment_kept"),
    ("version = version - 1 WHERE order_id = 'charged'", "payment_kept"),
    ("refunded = 1 WHERE order_id = 'charged'", "payment_refunded"),
    ("wanted = 'CHARGE' WHERE order_id = 'refunded'", "payment_kept"),
    ("owes_do = true WHERE order_id = 'declined'", "payment_answered"),
];

#[tokio::test]
async fn a_payment_only_ever_moves_forward() {
    let scene = Scene::begin("payment-guard", &[]).await;
    scene.ask(&[charge("charged"), charge("declined").by("sandbox:decline"), undo("voided"), charge("refunded")]).await;
    scene.until_all_answered(4).await;
    scene.ask(&[undo("refunded")]).await;
    scene.until_answered("refunded", 2).await;
    scene.verdict().await;
    for (change, constraint) in FORBIDDEN {
        let statement = format!("UPDATE payment.payment SET {change}");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&scene.pool).await;
        let refused = refused.expect_err(change);
        let refused = refused.as_database_error().unwrap();
        assert_eq!(refused.constraint(), Some(constraint), "{change}: {refused}");
    }
    // A provider that breaks its word charges what it had voided: that is written down, to be refunded.
    let late = "UPDATE payment.payment SET state = 'CHARGED', provider_reference = 'x', version = version + 1
        WHERE order_id = 'voided'";
    sqlx::raw_sql(late).execute(&scene.pool).await.unwrap();
    scene.end().await;
}
