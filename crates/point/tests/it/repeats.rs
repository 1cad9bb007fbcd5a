//! The road of what orders ask: what cannot be read does not stop the rest, and what comes again changes nothing.

use bus::arrival;
use proto::r#type::v1::StepKind;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::orders::{done, event, requested};
use crate::service::{Service, admin, number, until};

const REQUESTED: &str = "booster.order.v1.PointsRequested";

#[tokio::test]
async fn what_cannot_be_read_is_parked_and_others_go_on() {
    let mut service = Service::start("poison").await;
    service.earn("ann", 100).await;
    let spoilt = event("o1", REQUESTED, vec![0xff, 0xff]);
    // It waits behind the one that is parked, also its undo.
    let behind = [requested("o1", "ann", 5, StepKind::Do), requested("o1", "ann", 5, StepKind::Undo)];
    let unknown = requested("o2", "ann", 5, StepKind::Unspecified);
    let negative = requested("o3", "ann", -5, StepKind::Do);
    let nameless = requested("o4", "a b", 5, StepKind::Do);
    // What does not concern it is none of its business, whatever it says.
    let other = event("o5", "booster.order.v1.OrderPaid", vec![0xff, 0xff]);
    let [first, second] = behind;
    service.orders.send(&[spoilt, unknown, negative, nameless, other, first, second]).await;
    assert_eq!(service.orders.take("o5", "ann", 7).await, done(7));
    service.orders.all_read().await;
    let pool = kit::postgres::connect(&service.ground.servers(), point::SERVICE).await.unwrap();
    assert_eq!(arrival::parked(&pool).await.unwrap(), [("point".to_owned(), 6)]);
    assert_eq!(service.available("ann").await, 93);
    let report = point::audit::run(&service.ground.servers()).await.unwrap();
    assert_eq!(report.violations.len(), 1);
    assert!(report.violations[0].contains("6 events of the consumer point are parked"), "{:?}", report.violations);
    service.end().await;
}

/// Everything that is known, as one text. What was sent, and who relays, does not belong to it.
async fn dump(admin: &mut PgConnection) -> String {
    let mut all = String::new();
    for (table, columns) in [
        ("account", "t::text"),
        ("entry", "t::text"),
        ("lot", "t::text"),
        ("order_use", "t::text"),
        ("request", "t::text"),
        ("outbox", "concat_ws(' ', ce_id, kind, subject, sequence, payload)"),
        ("inbox", "t::text"),
        ("parked", "t::text"),
    ] {
        let statement =
            format!("SELECT coalesce(string_agg({columns}, E'\\n' ORDER BY {columns}), '') FROM point.{table} AS t");
        let text: String = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *admin).await.unwrap();
        all.push_str(&format!("{table}\n{text}\n"));
    }
    all
}

#[tokio::test]
async fn the_whole_topic_once_more_changes_nothing() {
    let mut service = Service::start("replayed").await;
    service.earn("ann", 100).await;
    let mut asked = Vec::new();
    for nth in 0..40 {
        let order_id = format!("o{nth}");
        asked.push(requested(&order_id, "ann", 4, StepKind::Do));
        if nth % 2 == 0 {
            asked.push(requested(&order_id, "ann", 4, StepKind::Undo));
        }
    }
    service.orders.send(&asked).await;
    service.orders.all_read().await;
    let topic = service.orders.topic();
    let mut ground = service.stop().await;
    for _ in 0..2 {
        let before = dump(&mut admin(&ground).await).await;
        assert!(before.contains("o39") && before.contains("StepAnswered"), "{before}");
        let rewound = topic.clone();
        let records = tokio::task::spawn_blocking(move || rewound.rewind().unwrap()).await.unwrap();
        assert_eq!(records, i64::try_from(asked.len()).unwrap());
        let service = Service::start_on(ground).await;
        service.orders.all_read().await;
        ground = service.stop().await;
        assert_eq!(dump(&mut admin(&ground).await).await, before);
    }
    ground.end().await;
}

#[tokio::test]
async fn what_is_told_reaches_the_topic() {
    let mut service = Service::start("on-the-topic").await;
    service.earn("ann", 100).await;
    service.orders.take("o1", "ann", 5).await;
    let unsent = "SELECT count(*) FROM point.outbox WHERE sent_at IS NULL";
    until("everything is sent", async || number(&service.ground, unsent).await == 0).await;
    // One of the earning, one of the deduction, and its answer.
    assert_eq!(number(&service.ground, "SELECT count(*) FROM point.outbox").await, 3);
    service.end_clean().await;
}
