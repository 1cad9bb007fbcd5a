//! The provider does what it is told, and its answer never comes, or comes too late to be waited for.

use std::time::Duration;

use payment::provider::words::State;
use proto::r#type::v1::StepKind::{Do, Undo};
use rand::RngExt as _;

use crate::running::until;
use crate::scene::{Request, Scene, charge, done, refused, switches, undo};

/// F26: a fifth of all answers is lost. Nobody is charged twice, and nothing is charged and undone.
#[tokio::test]
async fn a_fifth_of_all_answers_lost_charges_nobody_twice() {
    const ORDERS: usize = 300;
    let scene = Scene::begin("payment-lost", &[]).await;
    scene.sandbox.behave(&switches(|switches| switches.drop_ratio = 0.2)).await;
    let request = |nth: usize| {
        let method = ["sandbox", "sandbox:decline", "sandbox:drop", "sandbox", "sandbox"][nth % 5];
        charge(&format!("o{nth}")).by(method)
    };
    let requests: Vec<Request> = (0..ORDERS).map(request).collect();
    for some in requests.chunks(50) {
        scene.ask(some).await;
    }
    scene.until_all_answered(ORDERS).await;
    let undone: Vec<Request> = (0..ORDERS).step_by(3).map(|nth| undo(&format!("o{nth}"))).collect();
    scene.ask(&undone).await;
    scene.until_all_answered(ORDERS + undone.len()).await;
    assert_eq!(scene.verdict().await, i64::try_from(ORDERS).unwrap());
    for nth in 0..ORDERS {
        let order = format!("o{nth}");
        let (is_declined, is_undone) = (nth % 5 == 1, nth % 3 == 0);
        let deeds = match (is_declined, is_undone) {
            (true, _) => vec![State::Declined],
            (false, true) => vec![State::Charged, State::Refunded],
            (false, false) => vec![State::Charged],
        };
        assert_eq!(scene.sandbox.deeds_of(&order), deeds, "{order}");
        let first = if is_declined { refused("PAYMENT_DECLINED") } else { done(Do) };
        let answers = [first].into_iter().chain(is_undone.then(|| done(Undo))).collect::<Vec<_>>();
        assert_eq!(scene.answers(&order), answers, "{order}");
    }
    scene.end().await;
}

/// It is answered long before the provider would have charged, because it is repeated by the same key; and not charged again when it does.
#[tokio::test]
async fn a_charge_that_comes_late_is_settled_by_its_repeat() {
    let scene = Scene::begin("payment-late", &[]).await;
    scene.ask(&[charge("o").by("sandbox:late")]).await;
    assert_eq!(scene.until_answered("o", 1).await, [done(Do)]);
    let at = |scene: &Scene| scene.sandbox.lines()[0].at_ms;
    // The late charge comes a second after the provider has timed out, which was before the repeat.
    let past = at(&scene) + 2_000;
    until("the late charge has come", async || kit::clock::to_millis(kit::clock::now()) > past).await;
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged]);
    scene.verdict().await;
    scene.end().await;
}

/// The order is given up while the provider may charge at any moment: it never does, or gives it back.
#[tokio::test]
async fn a_late_charge_of_an_order_that_is_undone_is_given_back_or_never_comes() {
    const ORDERS: usize = 40;
    let scene = Scene::begin("payment-late-undone", &["--payment-timeout", "500ms"]).await;
    let methods = ["sandbox:late", "sandbox:delay"];
    let requests: Vec<_> = (0..ORDERS).map(|nth| charge(&format!("o{nth}")).by(methods[nth % 2])).collect();
    scene.ask(&requests).await;
    until("the provider is asked", async || scene.number("SELECT count(*) FROM payment.payment").await > 0).await;
    for nth in 0..ORDERS {
        scene.ask(&[undo(&format!("o{nth}"))]).await;
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..60))).await;
    }
    for nth in 0..ORDERS {
        let order = format!("o{nth}");
        until("it is undone", async || scene.answers(&order).contains(&done(Undo))).await;
    }
    // Whatever comes late has come.
    let past = kit::clock::to_millis(kit::clock::now()) + 2_500;
    until("nothing is late any more", async || kit::clock::to_millis(kit::clock::now()) > past).await;
    scene.verdict().await;
    for (key, deeds) in scene.sandbox.deeds() {
        assert!(deeds == [State::Voided] || deeds == [State::Charged, State::Refunded], "{key}: {deeds:?}");
    }
    scene.end().await;
}

/// Every answer takes longer than anybody waits: all is done, and nobody hears of it.
#[tokio::test]
async fn what_takes_longer_than_it_is_waited_for_is_charged_once() {
    const ORDERS: usize = 30;
    let scene = Scene::begin("payment-timed-out", &["--payment-timeout", "300ms"]).await;
    scene.sandbox.behave(&switches(|switches| switches.delay_ms = 600)).await;
    let requests: Vec<_> = (0..ORDERS).map(|nth| charge(&format!("o{nth}"))).collect();
    scene.ask(&requests).await;
    until("it is charged", async || scene.sandbox.lines().len() >= 3).await;
    assert_eq!(scene.answered(), 0);
    scene.sandbox.behave(&switches(|_| {})).await;
    scene.until_all_answered(ORDERS).await;
    assert_eq!(scene.verdict().await, i64::try_from(ORDERS).unwrap());
    assert!(scene.sandbox.deeds().values().all(|deeds| *deeds == [State::Charged]));
    scene.end().await;
}
