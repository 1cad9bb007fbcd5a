//! What an operator has discarded does not come back, however it comes again.

use bus::dead_letter::{DeadLetter, Filter};
use bus::repair::replay::{Order, Outcome};
use bus::repair::{Deed, Repair};
use futures::TryStreamExt as _;
use kit::grpc::Deadline;

use crate::counting::{BREAKS, Counting, SERVICE, consumer};
use crate::kafka::{Producer, Record, rewind, until_consumed};
use crate::place::{PATIENCE, Place, tag};
use crate::running::Running;

fn repair(place: &Place) -> Repair {
    Repair::new(SERVICE, place.pool.clone()).with(consumer(Counting::new("count")))
}

async fn letters(repair: &Repair) -> Vec<DeadLetter> {
    repair.page(&Filter::default(), 0, 1_000).await.unwrap()
}

async fn discard(repair: &Repair, id: i64) {
    repair.discard(id, &Deed { operator: "ann".to_owned(), why: "a test".to_owned() }).await.unwrap();
}

/// The consumer reads the whole topic, the first time or once more.
async fn consume(place: &Place) {
    let consumer = Running::consumer(place, "count").await;
    until_consumed(place, "count").await;
    consumer.stop().await;
}

async fn subjects(place: &Place) -> Vec<String> {
    place.effects("count").await.into_iter().map(|effect| effect.subject).collect()
}

#[tokio::test]
async fn whatever_was_discarded_stays_away() {
    let place = Place::new("discard").await;
    let event = |subject: &str| Record::event(tag(2), subject, 1);
    let poison = event("poison").carrying(BREAKS);
    let records = [
        event("good"),
        poison.clone(),
        event("no-event").without("ce_id"),
        event("old").with("ce_time", "2020-01-31T10:00:00Z"),
        event("ahead").with("ce_time", "2999-01-31T10:00:00Z"),
    ];
    let producer = Producer::new(&place);
    producer.send(&records).await;
    consume(&place).await;
    let repair = repair(&place);
    assert_eq!(letters(&repair).await.len(), 4);
    for letter in letters(&repair).await {
        discard(&repair, letter.id).await;
    }
    // What the inbox reaches is known to it, as if it had taken effect.
    let known = "SELECT count(*) FROM inbox WHERE consumer = 'count'";
    assert_eq!(place.number(known).await, 2);

    // The same records come again, and the poison as another record, too; what comes behind them waits for nobody.
    rewind(&place, "count").await;
    producer.send(&[poison, Record::event(tag(2), "old", 2), Record::event(tag(2), "ahead", 2)]).await;
    consume(&place).await;
    assert!(letters(&repair).await.is_empty());
    assert_eq!(subjects(&place).await, ["good", "old", "ahead"]);
    place.assert_once("count", 3).await;
    place.end().await;
}

#[tokio::test]
async fn what_came_from_the_future_stays_away_when_its_time_has_come() {
    let place = Place::new("discard-ahead").await;
    let soon = kit::clock::now() + time::Duration::days(6);
    let text = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    Producer::new(&place).send(&[Record::event(tag(2), "ahead", 1).with("ce_time", text)]).await;
    consume(&place).await;
    let repair = repair(&place);
    let [letter] = letters(&repair).await.try_into().unwrap();
    assert!(letter.cause.contains("TIME_AHEAD"), "{letter:?}");
    discard(&repair, letter.id).await;
    // Days later the inbox has room for it.
    let (mut day, mut made) = (soon - time::Duration::days(3), Vec::new());
    while day <= soon {
        let date = day.date();
        let name = format!("inbox_{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day());
        let next = date + time::Duration::DAY;
        made.push(format!(
            "CREATE TABLE IF NOT EXISTS {name} PARTITION OF inbox FOR VALUES FROM ('{date} 00:00Z') TO ('{next} 00:00Z');"
        ));
        day += time::Duration::DAY;
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(made.concat())).execute(&place.pool).await.unwrap();
    rewind(&place, "count").await;
    consume(&place).await;
    assert!(letters(&repair).await.is_empty());
    place.assert_once("count", 0).await;
    place.end().await;
}

#[tokio::test]
async fn of_an_event_that_is_parked_twice_the_other_record_can_still_take_effect() {
    let place = Place::new("discard-twice").await;
    let poison = Record::event(tag(2), "subject", 1).carrying(BREAKS);
    Producer::new(&place).send(&[poison.clone(), poison]).await;
    consume(&place).await;
    let repair = repair(&place);
    let [first, second] = letters(&repair).await.try_into().unwrap();
    discard(&repair, second.id).await;
    // It stays away also while the other one waits.
    rewind(&place, "count").await;
    consume(&place).await;
    assert_eq!(letters(&repair).await.iter().map(|letter| letter.id).collect::<Vec<_>>(), [first.id]);

    let deed = Deed { operator: "ann".to_owned(), why: "a test".to_owned() };
    repair.edit(first.id, b"mended", &deed).await.unwrap();
    let order =
        Order { filter: Filter::default(), after: 0, per_second: 1_000, dry_run: false, operator: "ann".to_owned() };
    let steps: Vec<_> = repair.replay(order, Deadline::after(PATIENCE)).try_collect().await.unwrap();
    assert_eq!(steps.iter().map(|step| step.outcome).collect::<Vec<_>>(), [Outcome::Done]);
    rewind(&place, "count").await;
    consume(&place).await;
    assert!(letters(&repair).await.is_empty());
    place.assert_once("count", 1).await;
    place.end().await;
}
