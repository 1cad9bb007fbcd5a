//! Promotion takes part in the saga of an order: asked by events of a topic, answered by events, whatever repeats, comes in the wrong
//! order, fails or dies.

mod away;
mod scene;

use proto::promotion::v1 as pb;
use proto::r#type::v1::StepKind::{Do, Undo};

use crate::service::{deal, reason, valid_for};
use scene::{Scene, answer, done, refused};

#[tokio::test]
async fn an_order_has_its_coupon_and_gives_it_back() {
    let mut scene = Scene::new("errand").await;
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    let redeemed = scene.answers("o1", 1).await.remove(0);
    assert_eq!(answer(&redeemed), done("o1", Do, 1));
    assert_eq!(redeemed.partition_key, bus::journal::Tag::of("lunch").to_string());
    let coupon = redeemed.payload.coupon.unwrap();
    assert_eq!((coupon.coupon_id.as_str(), coupon.order_id.as_str()), ("lunch-1", "o1"));
    assert_eq!(coupon.state(), pb::CouponState::Redeemed);
    assert!(coupon.prize.is_some(), "the order fixes its discount by it");
    assert_eq!(scene.service.coupon("lunch-1").await.unwrap(), coupon);

    scene.ask("o1", "ann", "lunch-1", &[Undo]).await;
    let undone = scene.answers("o1", 2).await.remove(1);
    assert_eq!(answer(&undone), done("o1", Undo, 2));
    assert_eq!(undone.payload.coupon, None);
    assert_eq!(scene.service.coupon("lunch-1").await.unwrap().state(), pb::CouponState::Issued);
    assert_eq!(reason(scene.service.redeem("lunch-1", "ann", "o1").await), "COUPON_OTHER_ORDER");
    scene.end_clean().await;
}

#[tokio::test]
async fn whoever_asks_again_is_answered_again_and_it_has_happened_once() {
    let scene = Scene::new("errand-again").await;
    // Several at once are answered by one event or by several; what comes after the answer is answered each time.
    scene.ask("o1", "ann", "lunch-1", &[Do, Do, Do]).await;
    let first = scene.settled("o1").await;
    assert!((1..=3).contains(&first.len()), "{first:?}");
    scene.ask("o1", "ann", "lunch-1", &[Do, Do]).await;
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    let answers = scene.answers("o1", first.len() + 3).await;
    for (nth, given) in (1..).zip(&answers) {
        assert_eq!((answer(given), &given.payload), (done("o1", Do, nth), &first[0].payload));
    }
    assert_eq!(scene.stored("lunch", 1).await, "2 REDEEMED by o1");

    scene.ask("o1", "ann", "lunch-1", &[Undo, Undo]).await;
    let undone = scene.settled("o1").await;
    scene.ask("o1", "ann", "lunch-1", &[Undo, Do]).await;
    let answers = scene.answers("o1", undone.len() + 2).await;
    let [.., undo, again] = answers.as_slice() else { panic!("{answers:?}") };
    let number = i64::try_from(answers.len()).unwrap();
    // It stays what was said once, also where it was undone since.
    assert_eq!([answer(undo), answer(again)], [done("o1", Undo, number - 1), done("o1", Do, number)]);
    assert_eq!(scene.stored("lunch", 1).await, "3 ISSUED");
    scene.end_clean().await;
}

#[tokio::test]
async fn an_undo_before_its_do_leaves_a_mark_and_so_does_one_beside_it() {
    let mut scene = Scene::new("errand-undo-first").await;
    scene.ask("o1", "ann", "lunch-1", &[Undo]).await;
    assert_eq!(answer(&scene.answers("o1", 1).await[0]), done("o1", Undo, 1));
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    assert_eq!(answer(&scene.answers("o1", 2).await[1]), refused("o1", Do, 2, "COUPON_OTHER_ORDER"));
    assert_eq!(scene.stored("lunch", 1).await, "1 ISSUED");

    // Both at once, in both orders: whatever came first, nothing is left of it.
    for (order, kinds) in [("o2", [Do, Undo]), ("o3", [Undo, Do])] {
        scene.ask(order, "ann", "lunch-1", &kinds).await;
        let answers = scene.answers(order, 2).await;
        assert!(answers.iter().any(|one| answer(one).kind == Undo && answer(one).done), "{answers:?}");
        assert_eq!(scene.service.coupon("lunch-1").await.unwrap().state(), pb::CouponState::Issued);
    }
    // Of a coupon that nobody has claimed yet: it is nobody's mark in Redis, and nobody redeems it all the same.
    scene.ask("o4", "cleo", "lunch-3", &[Undo]).await;
    assert_eq!(answer(&scene.answers("o4", 1).await[0]), done("o4", Undo, 1));
    scene.service.claim("lunch", "cleo").await.unwrap();
    scene.ask("o4", "cleo", "lunch-3", &[Do]).await;
    assert_eq!(answer(&scene.answers("o4", 2).await[1]), refused("o4", Do, 2, "COUPON_OTHER_ORDER"));

    scene.ask("o5", "ann", "lunch-1", &[Do]).await;
    assert_eq!(answer(&scene.answers("o5", 1).await[0]), done("o5", Do, 1));
    scene.end_clean().await;
}

#[tokio::test]
async fn what_is_refused_says_why_and_its_undo_is_done() {
    let mut scene = Scene::new("errand-refused").await;
    scene.service.create(valid_for(deal("brief", 5), 1)).await.unwrap();
    scene.service.claim("brief", "ann").await.unwrap();
    scene.service.redeem("lunch-2", "bob", "other").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let cases = [
        ("lunch-1", "bob", "NOT_OWNER"),
        ("lunch-2", "bob", "COUPON_REDEEMED"),
        ("brief-1", "ann", "COUPON_EXPIRED"),
        ("lunch-9", "ann", "COUPON_NOT_FOUND"),
        ("dinner-1", "ann", "COUPON_NOT_FOUND"),
        ("lunch", "ann", "COUPON_NOT_FOUND"),
        ("lunch-01", "ann", "COUPON_NOT_FOUND"),
        ("", "ann", "COUPON_NOT_FOUND"),
        ("no coupon at all", "ann", "COUPON_NOT_FOUND"),
    ];
    for (nth, (coupon_id, user, why)) in cases.into_iter().enumerate() {
        let order = format!("o{nth}");
        scene.ask(&order, user, coupon_id, &[Do]).await;
        let given = scene.answers(&order, 1).await.remove(0);
        assert_eq!((answer(&given), given.payload.coupon), (refused(&order, Do, 1, why), None), "{coupon_id}");
        scene.ask(&order, user, coupon_id, &[Undo]).await;
        assert_eq!(answer(&scene.answers(&order, 2).await[1]), done(&order, Undo, 2), "{coupon_id}");
    }
    assert_eq!(scene.service.coupon("lunch-2").await.unwrap().order_id, "other");
    scene.end_clean().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_parked_and_other_orders_go_on() {
    let scene = Scene::new("errand-poison").await;
    scene.ask("o1", "not a user", "lunch-1", &[Do]).await;
    scene.ask("o2", "ann", "lunch-1", &[Do]).await;
    assert_eq!(answer(&scene.answers("o2", 1).await[0]), done("o2", Do, 1));
    let parked = "SELECT count(*) FROM promotion.parked WHERE consumer = 'promotion.orders' AND parking_key = 'o1'";
    scene.until("it is parked", async |scene| scene.number(parked).await == 1).await;
    scene.end().await;
}

#[tokio::test]
async fn both_topics_once_more_change_nothing() {
    let scene = Scene::new("errand-replay").await;
    scene.ask("o1", "ann", "lunch-1", &[Do, Do]).await;
    scene.ask("o2", "bob", "lunch-2", &[Do]).await;
    scene.ask("o3", "bob", "lunch-1", &[Do]).await;
    for order in ["o1", "o2", "o3"] {
        scene.settled(order).await;
    }
    scene.ask("o2", "bob", "lunch-2", &[Undo]).await;
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    scene.settled("o1").await;
    scene.settled("o2").await;
    scene.consumed().await;
    let before = scene.dump().await;
    for _ in 0..2 {
        let taken = scene.replay().await;
        assert_eq!((taken.first, taken.parked, taken.skipped), (0, 0, 0), "{taken:?}");
        assert!(taken.again >= 9 && taken.passed >= 5, "{taken:?}");
    }
    assert_eq!(scene.dump().await, before);
    scene.end_clean().await;
}

#[tokio::test]
async fn whose_coupons_orders_have_is_known() {
    let scene = Scene::new("errand-redeemed").await;
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    scene.ask("o2", "bob", "lunch-2", &[Do]).await;
    scene.settled("o1").await;
    scene.settled("o2").await;
    scene.ask("o2", "bob", "lunch-2", &[Undo]).await;
    scene.settled("o2").await;
    scene.consumed().await;
    let orders = ["o1", "o2", "o3"].map(str::to_owned);
    let pool = scene.pool().clone();
    let redeemed = promotion::find::redeemed_by(&pool, &orders).await.unwrap();
    assert_eq!(redeemed.into_iter().collect::<Vec<_>>(), [("o1".to_owned(), vec!["lunch-1".to_owned()])]);
    let coupons = ["lunch-1", "dinner-1", "lunch"].map(str::to_owned);
    assert_eq!(promotion::find::archived(&pool, &coupons).await.unwrap().len(), 0);
    scene.end_clean().await;
}
