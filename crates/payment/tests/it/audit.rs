//! The audit finds each defect that is planted, and nothing else.

use std::path::Path;

use payment::audit::{against_log, of_orders, run};
use payment::payment::State;
use sqlx::{Connection as _, PgConnection};

use crate::running::insist;
use crate::scene::{AMOUNT, Scene, charge, undo};

/// A change of the tables, against which nothing stands any more, and the sentences that must be said of it.
const DEFECTS: [(&str, &[&str]); 12] = [
    ("UPDATE payment.payment SET version = version", &[]),
    (
        "UPDATE payment.payment SET refunded = 1 WHERE order_id = 'charged'",
        &["it is CHARGED, and 1 of 700 are refunded (I7)"],
    ),
    (
        "UPDATE payment.payment SET refunded = 0 WHERE order_id = 'refunded'",
        &["it is REFUNDED, and 0 of 700 are refunded (I7)"],
    ),
    (
        "UPDATE payment.payment SET provider_reference = NULL WHERE order_id = 'charged'",
        &["it is CHARGED, and the provider's name of its charge is missing (I7)"],
    ),
    (
        "UPDATE payment.payment SET wanted = 'UNDO' WHERE order_id = 'charged'",
        &["it is to be undone, is CHARGED, and nobody refunds it (I8)"],
    ),
    (
        "UPDATE payment.payment SET state = 'PENDING', answer = NULL WHERE order_id = 'declined'",
        &["it is PENDING, and nobody settles it (I8)"],
    ),
    ("INSERT INTO payment.due VALUES ('nobody', false)", &["it is to be settled, and has no payment"]),
    ("INSERT INTO payment.due VALUES ('charged', false)", &["it is CHARGED, and somebody would still settle it"]),
    (
        "UPDATE payment.payment SET wanted = 'UNDO' WHERE order_id = 'charged'; INSERT INTO payment.due VALUES ('charged', true)",
        &[],
    ),
    (
        "UPDATE payment.payment SET owes_undo = true WHERE order_id = 'voided'",
        &["it is VOIDED, and the order was never answered (I8)"],
    ),
    (
        "UPDATE payment.payment SET answer = 'DONE' WHERE order_id = 'declined'",
        &["the order was told that it is charged, and it is DECLINED (I7)"],
    ),
    (
        "UPDATE payment.payment SET answer = 'PAYMENT_DECLINED' WHERE order_id = 'charged'",
        &["the order was told that it is not charged, and it is (I7)"],
    ),
];

/// Takes away what would refuse a defect.
const UNGUARD: &str = "ALTER TABLE payment.payment DISABLE TRIGGER payment_hold, DROP CONSTRAINT payment_refunded,
    DROP CONSTRAINT payment_reference, DROP CONSTRAINT payment_undone, DROP CONSTRAINT payment_answered";

/// One payment of each state, its service gone.
async fn settled(name: &str) -> Scene {
    let mut scene = Scene::begin(name, &[]).await;
    scene.ask(&[charge("charged"), charge("declined").by("sandbox:decline"), undo("voided"), charge("refunded")]).await;
    scene.until_all_answered(4).await;
    scene.ask(&[undo("refunded")]).await;
    scene.until_answered("refunded", 2).await;
    scene.verdict().await;
    scene.stop_service().await;
    scene
}

#[tokio::test]
async fn each_contradiction_is_found_and_nothing_else() {
    let scene = settled("payment-audit").await;
    let mut admin = PgConnection::connect(scene.ground.admin_url().expose()).await.unwrap();
    let as_it_was = "CREATE TABLE payment.as_it_was AS SELECT * FROM payment.payment";
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{UNGUARD}; {as_it_was}"))).execute(&mut admin).await.unwrap();
    for (change, sentences) in DEFECTS {
        sqlx::raw_sql(change).execute(&mut admin).await.unwrap();
        let found = insist(async || run(&scene.servers).await).await.violations;
        assert_eq!(found.len(), sentences.len(), "{change}: {found:?}");
        assert!(sentences.iter().zip(&found).all(|(sentence, found)| found.ends_with(sentence)), "{change}: {found:?}");
        let back = "DELETE FROM payment.due; DELETE FROM payment.payment; INSERT INTO payment.payment SELECT * FROM payment.as_it_was";
        sqlx::raw_sql(back).execute(&mut admin).await.unwrap();
    }
    let orders = ["charged", "declined", "voided", "refunded", "none"].map(str::to_owned);
    let paid = of_orders(&scene.pool, &orders).await.unwrap();
    let shown = |order: &str| paid.get(order).map(|paid| (paid.state, paid.charged, paid.refunded));
    assert_eq!(shown("charged"), Some((State::Charged, AMOUNT, 0)));
    assert_eq!(shown("declined"), Some((State::Declined, 0, 0)));
    assert_eq!(shown("voided"), Some((State::Voided, 0, 0)));
    assert_eq!(shown("refunded"), Some((State::Refunded, AMOUNT, AMOUNT)));
    assert_eq!(shown("none"), None);
    scene.end().await;
}

/// What is done to the lines of the log.
type Change = fn(&mut Vec<String>);

const TAMPERED: [(&str, Change, &[&str]); 7] = [
    ("nothing", |_| {}, &[]),
    ("a torn tail", |lines| lines.push("{\"at_ms\":1,".to_owned()), &[]),
    (
        "a line is gone",
        |lines| lines.retain(|line| !line.contains("\"charged\"")),
        &["order charged: its payment says 700 charged and 0 refunded, the provider 0 and 0 (I7)"],
    ),
    (
        "a charge twice",
        |lines| {
            let again = lines.iter().find(|line| line.contains("\"charged\"")).unwrap().clone();
            lines.push(again);
        },
        &[
            "order charged: it was charged 2 times (I7)",
            "order charged: its payment says 700 charged and 0 refunded, the provider 1400 and 0 (I7)",
        ],
    ),
    (
        "a stranger",
        |lines| {
            let other = lines.iter().find(|line| line.contains("\"charged\"")).unwrap().replace("\"charged\"", "\"x\"");
            lines.push(other);
        },
        &["x: the provider knows this key, and no order has such a payment (I7)"],
    ),
    (
        "another amount",
        |lines| {
            lines
                .iter_mut()
                .for_each(|line| *line = line.replace("\"refunded\",\"amount\":700", "\"refunded\",\"amount\":70"))
        },
        &["order refunded: its payment says 700 charged and 700 refunded, the provider 70 and 70 (I7)"],
    ),
    (
        "not voided",
        |lines| lines.retain(|line| !line.contains("\"voided\"")),
        &["order voided: its payment is VOIDED, and the provider has declined it 0 times and voided it 0 times (I7)"],
    ),
];

#[tokio::test]
async fn each_difference_to_the_log_is_found_and_nothing_else() {
    let scene = settled("payment-audit-log").await;
    let text = std::fs::read_to_string(&scene.sandbox.log).unwrap();
    let path = scene.sandbox.file("tampered.jsonl");
    for (name, change, sentences) in TAMPERED {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        let whole = lines.join("\n") + if name == "a torn tail" { "" } else { "\n" };
        std::fs::write(&path, whole).unwrap();
        let report = insist(async || against_log(&scene.servers, &path).await).await;
        assert_eq!(
            (report.violations, report.payments),
            (sentences.iter().map(|one| (*one).to_owned()).collect(), 4),
            "{name}"
        );
    }
    assert!(against_log(&scene.servers, Path::new("no/such/log")).await.is_err());
    scene.end().await;
}
