//! A sale counts once, on the day of its venue, from when it is paid until it is cancelled.

use proto::ranking::v1 as pb;

use crate::calendar::{at, monday, noon, sunday};
use crate::scene::{Scene, cancelled, event, order, paid};
use crate::service::{Service, reason};

const PARIS: [&str; 2] = ["--ranking-venue-time-zone", "paris=Europe/Paris,lima=America/Lima"];

#[tokio::test]
async fn a_sale_counts_on_the_day_and_in_the_week_of_its_venue() {
    let scene = Scene::new("count-days").await;
    let mut service = Service::start(&scene.servers, &PARIS).await;
    let (sunday, monday) = (sunday(), monday());
    // A moment before the midnight with which the week begins in Seoul, and a moment after it.
    let last = order("last", at(sunday, 23, 59, 59, "Asia/Seoul"), &[("tea", 1, "seoul"), ("cake", 2, "seoul")]);
    let first = order("first", at(monday, 0, 0, 0, "Asia/Seoul"), &[("tea", 4, "seoul"), ("soup", 1, "paris")]);
    let parisian = order("parisian", at(monday, 0, 0, 0, "Europe/Paris"), &[("soup", 5, "paris")]);
    scene.tell(&[paid(&last), paid(&first), paid(&parisian)]).await;
    // The soup of the first was sold when it was still Sunday in Paris.
    service.until_day(sunday, &[("cake", 2), ("soup", 1), ("tea", 1)]).await;
    service.until_day(monday, &[("soup", 5), ("tea", 4)]).await;
    service.until_week(sunday, &[("cake", 2), ("soup", 1), ("tea", 1)]).await;
    service.until_week(monday, &[("soup", 5), ("tea", 4)]).await;
    service.until_all_time(&[("soup", 6), ("tea", 5), ("cake", 2)]).await;

    // Cancelled later, it is missing on the day on which it was sold, and nowhere else.
    scene.tell(&[cancelled(&last)]).await;
    service.until_day(sunday, &[("soup", 1)]).await;
    service.until_week(sunday, &[("soup", 1)]).await;
    service.until_all_time(&[("soup", 6), ("tea", 4)]).await;
    service.until_day(monday, &[("soup", 5), ("tea", 4)]).await;
    scene.tell(&[cancelled(&first), cancelled(&parisian)]).await;
    for day in [sunday, monday] {
        service.until_day(day, &[]).await;
        service.until_week(day, &[]).await;
        assert_eq!(reason(service.rank(pb::Period::Daily, day, "tea").await), "RANK_NOT_FOUND");
    }
    service.until_all_time(&[]).await;
    scene.settled().await;
    scene.assert_clean().await;
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_week_is_the_sum_of_its_days() {
    let scene = Scene::new("count-week").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let (sunday, saturday) = (sunday(), sunday().yesterday().unwrap());
    scene.tell(&[paid(&order("o1", noon(saturday), &[("tea", 2, "v")]))]).await;
    service.until_week(sunday, &[("tea", 2)]).await;
    let second = order("o2", noon(sunday), &[("tea", 3, "v"), ("cake", 4, "v")]);
    scene.tell(&[paid(&second)]).await;
    service.until_week(sunday, &[("tea", 5), ("cake", 4)]).await;
    service.until_day(sunday, &[("cake", 4), ("tea", 3)]).await;
    let rank = service.rank(pb::Period::Weekly, saturday, "cake").await.unwrap();
    let told = |entry: &pb::BoardEntry| (entry.rank, entry.item_id.clone(), entry.score);
    assert_eq!(rank.entry.as_ref().map(told), Some((2, "cake".to_owned(), 4)));
    assert_eq!(rank.above.iter().map(told).collect::<Vec<_>>(), [(1, "tea".to_owned(), 5)]);
    scene.tell(&[cancelled(&second)]).await;
    service.until_week(sunday, &[("tea", 2)]).await;
    let listed = service.top(pb::Period::Weekly, &sunday.to_string(), 1).await.unwrap();
    assert_eq!(listed.date, monday().saturating_sub(jiff::Span::new().days(7)).to_string());
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn whatever_order_paid_and_cancelled_come_in_and_however_often_nothing_is_left() {
    let scene = Scene::new("count-order").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    let kept = order("kept", noon(day), &[("tea", 1, "v")]);
    // Each as an event of its own: the inbox knows none of them. In one batch, and in others.
    let early = order("early", noon(day), &[("tea", 10, "v")]);
    scene.tell(&[cancelled(&early), paid(&early), cancelled(&early), paid(&early), paid(&kept)]).await;
    service.until_day(day, &[("tea", 1)]).await;
    scene.tell(&[cancelled(&early)]).await;
    scene.tell(&[paid(&early), paid(&kept)]).await;
    let late = order("late", noon(day), &[("tea", 100, "v")]);
    scene.tell(&[paid(&late)]).await;
    service.until_day(day, &[("tea", 101)]).await;
    scene.tell(&[paid(&late)]).await;
    scene.settled().await;
    scene.tell(&[cancelled(&late)]).await;
    service.until_day(day, &[("tea", 1)]).await;
    scene.tell(&[paid(&late), cancelled(&late), cancelled(&early)]).await;
    scene.settled().await;
    assert_eq!(service.listed(pb::Period::Daily, &day.to_string()).await.unwrap(), [("tea".to_owned(), 1)]);
    let counted = scene.assert_clean().await;
    assert_eq!((counted.sales, counted.boards), (3, 2));
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn who_was_never_paid_never_counts() {
    let scene = Scene::new("count-never").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    let sold = order("sold", noon(day), &[("tea", 1, "v")]);
    let mut never = order("never", noon(day), &[("tea", 10, "v")]);
    never.paid_at = None;
    let others = ["OrderPlaced", "OrderAdvanced", "OrderFailed", "PaymentRequested"];
    let mut events: Vec<_> = others
        .iter()
        .map(|kind| event(&format!("booster.order.v1.{kind}"), 1, &order("other", noon(day), &[("tea", 7, "v")])))
        .collect();
    events.extend([cancelled(&never), paid(&sold)]);
    scene.tell(&events).await;
    service.until_day(day, &[("tea", 1)]).await;
    scene.settled().await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.sale").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM ranking.inbox").await, 2, "what does not concern it costs nothing");
    assert_eq!(scene.number("SELECT count(*) FROM ranking.parked").await, 0);
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_zone_that_is_set_differently_later_moves_no_sale() {
    let scene = Scene::new("count-zone").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let (sunday, monday) = (sunday(), monday());
    let sale = order("o1", at(monday, 1, 0, 0, "Asia/Seoul"), &[("tea", 3, "v")]);
    scene.tell(&[paid(&sale)]).await;
    service.until_day(monday, &[("tea", 3)]).await;
    scene.settled().await;
    service.stop().await;
    // There it was still Sunday.
    let mut service = Service::start(&scene.servers, &["--ranking-time-zone", "Europe/Paris"]).await;
    scene.tell(&[cancelled(&sale)]).await;
    service.until_day(monday, &[]).await;
    service.until_day(sunday, &[]).await;
    scene.tell(&[paid(&order("o2", at(monday, 1, 0, 0, "Asia/Seoul"), &[("tea", 3, "v")]))]).await;
    service.until_day(sunday, &[("tea", 3)]).await;
    service.until_day(monday, &[]).await;
    service.stop().await;
    scene.end().await;
}
