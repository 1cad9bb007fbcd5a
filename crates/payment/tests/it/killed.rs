//! Whoever dies, and wherever: everybody is charged once, and whoever has asked is answered.

use std::time::Duration;

use payment::provider::words::State;
use proto::r#type::v1::StepKind::{Do, Undo};
use rand::RngExt as _;
use sqlx::{Connection as _, PgConnection};

use crate::running::until;
use crate::scene::{Request, Scene, charge, done, switches, undo};

/// Whoever writes what the provider has said waits for as long as the test holds this lock.
async fn hold(scene: &Scene) -> PgConnection {
    let mut admin = PgConnection::connect(scene.ground.admin_url().expose()).await.unwrap();
    let make = "CREATE FUNCTION payment.wait() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END';
         CREATE TRIGGER wait BEFORE UPDATE ON payment.payment FOR EACH ROW WHEN (OLD.state <> NEW.state)
           EXECUTE FUNCTION payment.wait()";
    sqlx::raw_sql(make).execute(&mut admin).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(4711)").execute(&mut admin).await.unwrap();
    admin
}

const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[tokio::test]
async fn between_the_answer_and_its_note_it_is_asked_again_and_charged_once() {
    let mut scene = Scene::begin("payment-killed-note", &["--payment-timeout", "1s"]).await;
    let mut held = hold(&scene).await;
    scene.ask(&[charge("o"), charge("p")]).await;
    until("it is charged, and somebody is held", async || {
        scene.sandbox.lines().len() == 2 && scene.number(WAITING).await > 0
    })
    .await;
    scene.kill_service();
    assert_eq!((scene.state("o").await.as_str(), scene.answered()), ("PENDING", 0));
    sqlx::query("SELECT pg_advisory_unlock(4711)").execute(&mut held).await.unwrap();
    scene.start_service().await;
    assert_eq!(scene.until_answered("o", 1).await, [done(Do)]);
    scene.until_answered("p", 1).await;
    assert_eq!((scene.sandbox.lines().len(), scene.verdict().await), (2, 2));
    scene.end().await;
}

#[tokio::test]
async fn a_refund_that_was_not_noted_is_not_given_twice() {
    let mut scene = Scene::begin("payment-killed-refund", &["--payment-timeout", "1s"]).await;
    scene.ask(&[charge("o")]).await;
    scene.until_answered("o", 1).await;
    let mut held = hold(&scene).await;
    scene.ask(&[undo("o")]).await;
    until("it is refunded, and somebody is held", async || {
        scene.sandbox.lines().len() == 2 && scene.number(WAITING).await > 0
    })
    .await;
    scene.kill_service();
    sqlx::query("SELECT pg_advisory_unlock(4711)").execute(&mut held).await.unwrap();
    scene.start_service().await;
    assert_eq!(scene.until_answered("o", 2).await, [done(Do), done(Undo)]);
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged, State::Refunded]);
    scene.verdict().await;
    scene.end().await;
}

/// How often each is killed: `BOOSTER_TEST_FULL=1` makes it many times.
fn kills() -> usize {
    if std::env::var("BOOSTER_TEST_FULL").is_ok() { 40 } else { 5 }
}

#[tokio::test]
async fn at_random_moments_service_and_provider_die_and_everybody_is_charged_once() {
    let mut scene = Scene::begin("payment-killed", &["--payment-timeout", "1s"]).await;
    scene.sandbox.behave(&switches(|switches| switches.drop_ratio = 0.05)).await;
    let methods = ["sandbox", "sandbox:drop", "sandbox:decline", "sandbox", "sandbox"];
    let mut asked = Vec::<Request>::new();
    for kill in 0..kills() {
        let some: Vec<_> = (0..60).map(|nth| charge(&format!("o{kill}-{nth}")).by(methods[nth % 5])).collect();
        scene.ask(&some).await;
        // Every fourth is undone, some of them before they are charged.
        let undone: Vec<_> = some.iter().step_by(4).map(|charge| undo(&charge.order_id)).collect();
        scene.ask(&undone).await;
        asked.extend(some.into_iter().chain(undone));
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(20..1_500))).await;
        if kill % 2 == 0 {
            scene.kill_service();
            scene.start_service().await;
        } else {
            scene.sandbox.die();
            tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..300))).await;
            scene.sandbox.start_again().await;
        }
    }
    for request in &asked {
        until("it is answered", async || {
            scene.answers(&request.order_id).iter().any(|answer| answer.kind == request.kind)
        })
        .await;
    }
    let orders = asked.iter().filter(|request| request.kind == Do).count();
    assert_eq!(scene.verdict().await, i64::try_from(orders).unwrap());
    for undone in asked.iter().filter(|request| request.kind == Undo) {
        let deeds = scene.sandbox.deeds_of(&undone.order_id);
        let is_nothing = matches!(deeds[..], [State::Voided | State::Declined] | [State::Charged, State::Refunded]);
        assert!(is_nothing, "{}: {deeds:?}", undone.order_id);
    }
    scene.end().await;
}

#[tokio::test]
async fn a_service_that_is_told_to_end_hears_what_it_has_asked() {
    const ORDERS: usize = 20;
    let mut scene = Scene::begin("payment-drained", &[]).await;
    let requests: Vec<_> = (0..ORDERS).map(|nth| charge(&format!("o{nth}")).by("sandbox:delay")).collect();
    scene.ask(&requests).await;
    let taken = "SELECT count(*) FROM payment.due WHERE due_at > clock_timestamp() + interval '1 second'";
    until("all are asked", async || scene.number(taken).await == i64::try_from(ORDERS).unwrap()).await;
    scene.stop_service().await;
    let charged = "SELECT count(*) FROM payment.payment WHERE state = 'CHARGED'";
    assert_eq!(scene.number(charged).await, i64::try_from(ORDERS).unwrap());
    // What was not sent by then is sent by the next.
    scene.start_service().await;
    scene.until_all_answered(ORDERS).await;
    scene.verdict().await;
    scene.end().await;
}

/// Two processes share the work; neither does what the other has begun.
#[tokio::test]
async fn two_processes_charge_everybody_once() {
    const ORDERS: usize = 200;
    let scene = Scene::begin("payment-two", &[]).await;
    let other = crate::running::Running::service(&scene.servers, &scene.config).await;
    let requests: Vec<_> = (0..ORDERS).map(|nth| charge(&format!("o{nth}"))).collect();
    for some in requests.chunks(20) {
        scene.ask(some).await;
    }
    scene.until_all_answered(ORDERS).await;
    assert_eq!(scene.verdict().await, i64::try_from(ORDERS).unwrap());
    assert!(scene.sandbox.deeds().values().all(|deeds| *deeds == [State::Charged]));
    other.stop().await;
    scene.end().await;
}
