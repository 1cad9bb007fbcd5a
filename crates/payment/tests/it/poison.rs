//! What cannot be read, or breaks a rule, is parked; everybody else goes on. What comes again changes nothing.

use bus::consumer::replay::{Order, PER_SECOND_MOST, Replay};
use bus::event::NewEvent;
use bus::outbox::Outbox;
use proto::r#type::v1::StepKind::{Do, Undo};

use crate::running::until;
use crate::scene::{Scene, charge, done, undo};

const PARKED: &str = "SELECT count(*) FROM payment.parked WHERE consumer = 'payment'";

#[tokio::test]
async fn what_cannot_be_a_payment_is_parked_and_others_are_charged() {
    let scene = Scene::begin("payment-poison", &[]).await;
    scene.ask(&[charge("o")]).await;
    scene.until_answered("o", 1).await;
    let damaged = NewEvent { payload: bytes::Bytes::from_static(b"\xff\xff"), ..charge("damaged").event() };
    let mut free = charge("free");
    free.amount = 0;
    let foreign = charge("foreign").by("No such method");
    let mut other = charge("o");
    other.amount += 1;
    // Its undo waits behind it: whatever that would do belongs after what is parked.
    let behind = undo("o");
    let events: Vec<_> =
        [free, foreign, other, behind, charge("p"), charge("q")].iter().map(|one| one.event()).collect();
    scene.tell(&[[damaged].as_slice(), &events].concat()).await;
    scene.until_answered("p", 1).await;
    scene.until_answered("q", 1).await;
    until("five are parked", async || scene.number(PARKED).await == 5).await;
    assert_eq!((scene.answers("o"), scene.state("o").await.as_str()), (vec![done(Do)], "CHARGED"));
    let report = payment::audit::run(&scene.servers).await.unwrap();
    assert_eq!(report.violations.len(), 1, "{:?}", report.violations);
    assert!(report.violations[0].contains("5 events of the consumer payment are parked"));
    let report = payment::audit::against_log(&scene.servers, &scene.sandbox.log).await.unwrap();
    assert_eq!((report.violations, report.payments), (Vec::<String>::new(), 3));
    scene.end().await;
}

/// F23: the whole topic, twice more.
#[tokio::test]
async fn a_topic_that_comes_again_changes_nothing() {
    const ORDERS: usize = 40;
    let scene = Scene::begin("payment-replay", &[]).await;
    for nth in 0..ORDERS {
        let (order, method) = (format!("o{nth}"), ["sandbox", "sandbox:decline", "sandbox:drop"][nth % 3]);
        scene.ask(&[charge(&order).by(method)]).await;
        if nth % 4 == 0 {
            scene.ask(&[undo(&order)]).await;
        }
    }
    scene.until_all_answered(ORDERS + ORDERS / 4).await;
    scene.verdict().await;
    let dump = async || {
        let statement = "SELECT string_agg(payment::text, E'\n' ORDER BY order_id) FROM payment.payment";
        sqlx::query_scalar::<_, String>(statement).fetch_one(&scene.pool).await.unwrap()
    };
    let (before, lines) = (dump().await, scene.sandbox.lines());
    for _ in 0..2 {
        let consumer = payment::consumers(&Outbox::default()).remove(0);
        let topic = bus::topic::name("order");
        let order = Order { topic, from: None, to: None, per_second: PER_SECOND_MOST };
        let mut replay = Replay::begin(&scene.servers, scene.pool.clone(), consumer, &order).await.unwrap();
        let mut again = 0;
        while let Some(taken) = replay.step().await.unwrap() {
            assert_eq!(taken.first, 0);
            again += taken.again;
        }
        assert_eq!(again, u64::try_from(ORDERS + ORDERS / 4).unwrap());
    }
    assert_eq!((dump().await, scene.sandbox.lines()), (before.clone(), lines.clone()));
    // The same requests as other events, which the inbox does not know: they are answered, and change nothing either.
    let heard = scene.answered();
    for nth in 0..ORDERS {
        let (order, method) = (format!("o{nth}"), ["sandbox", "sandbox:decline", "sandbox:drop"][nth % 3]);
        scene.ask(&[charge(&order).by(method)]).await;
    }
    scene.until_all_answered(heard + ORDERS).await;
    for nth in (0..ORDERS).step_by(4) {
        let answers = scene.answers(&format!("o{nth}"));
        let told: Vec<_> = answers.iter().filter(|answer| answer.kind == Do).collect();
        assert!(told.iter().all(|answer| *answer == told[0]) && answers.contains(&done(Undo)), "{answers:?}");
    }
    assert_eq!((dump().await, scene.sandbox.lines()), (before, lines));
    scene.end().await;
}
