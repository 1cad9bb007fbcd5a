//! The five kinds of a step: well; done twice; undone twice; undone first, then done; failed.

use payment::provider::words::State;
use proto::r#type::v1::StepKind::{Do, Undo};

use crate::running::until;
use crate::scene::{Scene, charge, done, refused, undo};

#[tokio::test]
async fn well() {
    let scene = Scene::begin("payment-well", &[]).await;
    scene.ask(&[charge("o")]).await;
    assert_eq!(scene.until_answered("o", 1).await, [done(Do)]);
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged]);
    assert_eq!((scene.state("o").await.as_str(), scene.verdict().await), ("CHARGED", 1));
    let line = scene.sandbox.lines().remove(0);
    assert_eq!((line.amount, line.currency.as_str()), (crate::scene::AMOUNT, "KRW"));
    scene.end().await;
}

#[tokio::test]
async fn done_twice_charges_once_and_is_answered_each_time() {
    let scene = Scene::begin("payment-do-twice", &[]).await;
    // Three at once, of which two find the first still on its way, or not; and one long after.
    scene.ask(&[charge("o"), charge("o"), charge("o")]).await;
    scene.until_answered("o", 1).await;
    scene.verdict().await;
    let before = scene.answers("o").len();
    scene.ask(&[charge("o")]).await;
    let answers = scene.until_answered("o", before + 1).await;
    assert!(answers.iter().all(|answer| *answer == done(Do)), "{answers:?}");
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged]);
    scene.end().await;
}

#[tokio::test]
async fn undone_twice_refunds_once_and_is_answered_each_time() {
    let scene = Scene::begin("payment-undo-twice", &[]).await;
    scene.ask(&[charge("o")]).await;
    scene.until_answered("o", 1).await;
    scene.ask(&[undo("o"), undo("o")]).await;
    scene.until_answered("o", 2).await;
    scene.verdict().await;
    let before = scene.answers("o").len();
    scene.ask(&[undo("o")]).await;
    let answers = scene.until_answered("o", before + 1).await;
    assert!(answers[1..].iter().all(|answer| *answer == done(Undo)), "{answers:?}");
    // What was once said of the charge is said again.
    scene.ask(&[charge("o")]).await;
    assert_eq!(scene.until_answered("o", before + 2).await.last(), Some(&done(Do)));
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Charged, State::Refunded]);
    assert_eq!((scene.state("o").await.as_str(), scene.verdict().await), ("REFUNDED", 1));
    scene.end().await;
}

#[tokio::test]
async fn undone_first_leaves_a_mark_that_refuses_what_comes_to_be_done() {
    let scene = Scene::begin("payment-undo-first", &[]).await;
    scene.ask(&[undo("o")]).await;
    assert_eq!(scene.until_answered("o", 1).await, [done(Undo)]);
    // Another amount is nobody's concern any more.
    let mut other = charge("o");
    other.amount += 1;
    scene.ask(&[charge("o"), other]).await;
    let refusal = refused("ORDER_UNDONE");
    assert_eq!(scene.until_answered("o", 3).await, [done(Undo), refusal.clone(), refusal]);
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Voided]);
    // Both in one transaction, before the provider has been asked anything.
    scene.ask(&[undo("p"), charge("p"), undo("p")]).await;
    until("p is answered", async || scene.answers("p").contains(&refused("ORDER_UNDONE"))).await;
    assert_eq!(scene.sandbox.deeds_of("p"), [State::Voided]);
    assert_eq!((scene.state("o").await.as_str(), scene.verdict().await), ("VOIDED", 2));
    scene.end().await;
}

#[tokio::test]
async fn failed_is_refused_and_its_undo_has_nothing_to_do() {
    let scene = Scene::begin("payment-declined", &[]).await;
    scene.ask(&[charge("o").by("sandbox:decline")]).await;
    assert_eq!(scene.until_answered("o", 1).await, [refused("PAYMENT_DECLINED")]);
    scene.ask(&[charge("o").by("sandbox:decline"), undo("o")]).await;
    assert_eq!(scene.until_answered("o", 3).await[1..], [refused("PAYMENT_DECLINED"), done(Undo)]);
    assert_eq!(scene.sandbox.deeds_of("o"), [State::Declined]);
    assert_eq!((scene.state("o").await.as_str(), scene.verdict().await), ("DECLINED", 1));
    scene.end().await;
}

#[tokio::test]
async fn asked_and_undone_at_once_nothing_stays_charged() {
    let scene = Scene::begin("payment-both", &[]).await;
    let orders: Vec<String> = (0..50).map(|nth| format!("o{nth}")).collect();
    for order in &orders {
        scene.ask(&[charge(order)]).await;
        scene.ask(&[undo(order)]).await;
    }
    for order in &orders {
        until("it is answered", async || scene.answers(order).contains(&done(Undo))).await;
    }
    scene.verdict().await;
    for (key, deeds) in scene.sandbox.deeds() {
        assert!(deeds == [State::Voided] || deeds == [State::Charged, State::Refunded], "{key}: {deeds:?}");
    }
    // Each was told that it was charged before that was undone, or that it never was; and every time the same.
    for order in &orders {
        let answers = scene.answers(order);
        let told: Vec<_> = answers.iter().filter(|answer| answer.kind == Do).collect();
        assert!(!told.is_empty() && told.iter().all(|answer| *answer == told[0]), "{order}: {answers:?}");
        let was_charged = scene.sandbox.deeds_of(order).contains(&State::Charged);
        assert!(was_charged || *told[0] == refused("ORDER_UNDONE"), "{order}: {answers:?}");
    }
    scene.end().await;
}
