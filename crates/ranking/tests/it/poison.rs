//! Events that cannot take effect are parked, and others go on (F24).

use bus::event::NewEvent;

use crate::calendar::{noon, sunday};
use crate::scene::{PAID, Scene, cancelled, event, order, paid};
use crate::service::Service;

#[tokio::test]
async fn only_poison_and_what_comes_behind_it_is_parked() {
    let scene = Scene::new("poison").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    let sale = |id: &str| order(id, noon(day), &[("tea", 1, "v")]);
    let undecodable = NewEvent { payload: (&b"\xff\xff"[..]).into(), ..paid(&sale("undecodable")) };
    let empty = NewEvent { payload: (&b""[..]).into(), ..paid(&sale("empty")) };
    let foreign = NewEvent { subject: "foreign".to_owned(), ..paid(&sale("another")) };
    let mut undated = sale("undated");
    undated.paid_at = None;
    let ancient = order("ancient", jiff::Timestamp::from_second(-1_000_000_000).unwrap(), &[("tea", 1, "v")]);
    let nothing = order("nothing", noon(day), &[("tea", 0, "v")]);
    let nameless = order("nameless", noon(day), &[("two words", 1, "v")]);
    let mut events = Vec::new();
    for poison in
        [undecodable, empty, foreign, event(PAID, 2, &undated), paid(&ancient), paid(&nothing), paid(&nameless)]
    {
        // What comes later for the same order waits behind it; other orders do not.
        let behind = NewEvent { subject: poison.subject.clone(), ..cancelled(&sale(&poison.subject)) };
        events.extend([poison, paid(&sale(&format!("good-{}", events.len()))), behind]);
    }
    scene.tell(&events).await;
    service.until_day(day, &[("tea", 7)]).await;
    scene.settled().await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.parked").await, 14);
    let behind = "SELECT count(*) FROM ranking.parked WHERE cause LIKE 'an earlier event of the same key%'";
    assert_eq!(scene.number(behind).await, 7);
    let report = ranking::audit::run(&scene.servers).await.unwrap();
    assert_eq!(report.violations.len(), 1, "{:?}", report.violations);
    assert!(report.violations[0].contains("14 events of the consumer ranking are parked"), "{:?}", report.violations);
    service.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_score_that_no_table_takes_is_parked() {
    let scene = Scene::new("poison-row").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let day = sunday();
    scene.tell(&[paid(&order("o1", noon(day), &[("tea", 1, "v"), ("cake", 1, "v")]))]).await;
    service.until_day(day, &[("cake", 1), ("tea", 1)]).await;
    scene.settled().await;
    // As if a thousand million people had been here: one more is more than a board can be told exactly.
    scene.execute("UPDATE ranking.day_score SET score = 1000000000000000 WHERE item_id = 'tea'").await;
    scene
        .tell(&[paid(&order("o2", noon(day), &[("tea", 1, "v")])), paid(&order("o3", noon(day), &[("cake", 1, "v")]))])
        .await;
    service.until_day(day, &[("cake", 2), ("tea", 1)]).await;
    scene.settled().await;
    assert_eq!(scene.number("SELECT count(*) FROM ranking.parked WHERE parking_key = 'o2'").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM ranking.sale WHERE order_id = 'o2'").await, 0);
    service.stop().await;
    scene.end().await;
}
