//! The audit finds what is planted, and nothing else.

use proto::order::v1::OrderState;
use sqlx::Connection as _;

use crate::stage::{Stage, plain};

#[tokio::test]
async fn planted_defects_are_found_all_of_them_and_nothing_else() {
    let mut stage = Stage::start("audit").await;
    stage.put("soup", 1_000, 10).await;
    stage.put("tea", 1_000, 10).await;
    for (user, item) in [("ann", "soup"), ("bob", "tea")] {
        let order = stage.place(plain(user, item, 2, 1_000)).await.unwrap();
        stage.until(&order.order_id, OrderState::Paid).await;
    }
    let clean = order::audit::run(&stage.ground.servers()).await.unwrap();
    assert_eq!((clean.items, clean.orders, clean.unfinished), (2, 2, 0));
    assert_eq!(clean.violations, Vec::<String>::new());
    let defects = [
        (
            r#"UPDATE "order".item SET sold = sold + 1, stock = stock - 1 WHERE item_id = 'soup'"#,
            "soup: 3 of it are sold",
        ),
        (r#"DELETE FROM "order".orders WHERE user_id = 'bob'"#, "tea: 2 of it are sold"),
        (
            r#"INSERT INTO "order".orders (order_id, user_id, lines, points, currency, subtotal, payment_method, state, steps,
                 version, created_at, due_at)
               VALUES ('stuck', 'cleo', '[]', 0, 'KRW', 0, 'sandbox', 'PENDING', '[]', 1, now() - interval '2 hours',
                 now() + interval '1 hour')"#,
            "stuck: it is PENDING",
        ),
        (
            r#"INSERT INTO "order".parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
               VALUES ('order', 'o', 't', 0, 0, '{}', '', 'a test', 1)"#,
            "1 events of the consumer order are parked",
        ),
    ];
    for (planted, found) in defects {
        let copy = stage.ground.admin_url();
        let mut admin = sqlx::PgConnection::connect(copy.expose()).await.unwrap();
        sqlx::query(planted).execute(&mut admin).await.unwrap();
        let report = order::audit::run(&stage.ground.servers()).await.unwrap();
        assert!(report.violations.iter().any(|violation| violation.contains(found)), "{found}: {report:?}");
    }
    let report = order::audit::run(&stage.ground.servers()).await.unwrap();
    assert_eq!(report.violations.len(), defects.len(), "{report:?}");
    stage.ground.end().await;
}
