//! What an operator does with dead letters: in the order of their key, once, and written down.

use std::collections::HashSet;
use std::time::Duration;

use bus::consumer::{Consumer, Effects};
use bus::dead_letter::{DeadLetter, Filter, Refusal, State};
use bus::failed::Failed;
use bus::inbox::First;
use bus::outbox::Told;
use bus::repair::replay::{Order, Outcome, Step};
use bus::repair::{Deed, Error, Repair};
use futures::{StreamExt as _, TryStreamExt as _};
use kit::grpc::Deadline;
use kit::postgres::Tx;

use crate::counting::{BREAKS, Counting, SERVICE, consumer};
use crate::kafka::{Producer, Record, until_consumed};
use crate::place::{Place, tag, until};
use crate::running::Running;

/// How long a replay may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A rate that holds up no test.
const FAST: u32 = 1_000;

pub fn repair(place: &Place) -> Repair {
    Repair::new(SERVICE, place.pool.clone()).with(consumer(Counting::new("count")))
}

pub fn order(filter: Filter) -> Order {
    Order { filter, after: 0, per_second: FAST, dry_run: false, operator: "ann".to_owned() }
}

fn named(ids: &[i64]) -> Filter {
    Filter { ids: ids.iter().copied().collect(), ..Filter::default() }
}

fn key(parking_key: &str) -> Filter {
    Filter { parking_key: Some(parking_key.to_owned()), ..Filter::default() }
}

fn deed() -> Deed {
    Deed { operator: "ann".to_owned(), why: "a test".to_owned() }
}

pub async fn replay(repair: &Repair, order: Order) -> Vec<Step> {
    repair.replay(order, Deadline::after(PATIENCE)).try_collect().await.unwrap()
}

async fn outcomes(repair: &Repair, order: Order) -> Vec<Outcome> {
    replay(repair, order).await.iter().map(|step| step.outcome).collect()
}

async fn letters(repair: &Repair) -> Vec<DeadLetter> {
    repair.page(&Filter::default(), 0, 1_000).await.unwrap()
}

/// A poison of each subject, `behind` events behind it, and one event of somebody else; consumed.
async fn stuck(name: &str, subjects: &[&str], behind: i64) -> (Place, Running) {
    let place = Place::new(name).await;
    let mut records = vec![Record::event(tag(2), "other", 1)];
    for subject in subjects {
        records.push(Record::event(tag(2), subject, 1).carrying(BREAKS));
        records.extend((2..2 + behind).map(|sequence| Record::event(tag(2), subject, sequence)));
    }
    Producer::new(&place).send(&records).await;
    let consumer = Running::consumer(&place, "count").await;
    until_consumed(&place, "count").await;
    (place, consumer)
}

/// The sequences of a subject, in the order in which they took effect.
async fn sequences(place: &Place, subject: &str) -> Vec<i64> {
    let effects = place.effects("count").await.into_iter().filter(|effect| effect.subject == subject);
    effects.map(|effect| effect.sequence).collect()
}

/// What operators did, oldest first: who, what, to which.
async fn actions(place: &Place) -> Vec<(String, String, i64)> {
    let statement = "SELECT operator, action, dead_letter_id FROM dead_letter_action ORDER BY id";
    sqlx::query_as(statement).fetch_all(&place.pool).await.unwrap()
}

#[tokio::test]
async fn what_is_stuck_is_edited_and_replayed_in_order() {
    let (place, consumer) = stuck("repair-edit", &["subject"], 2).await;
    let repair = repair(&place);
    assert_eq!(repair.page(&Filter::default(), 0, 2).await.unwrap().len(), 2, "a page");
    let causes = repair.causes(&Filter::default()).await.unwrap();
    assert_eq!(causes.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 1], "{causes:?}");
    let all = letters(&repair).await;
    let [poison, ..] = all.as_slice() else { panic!("nothing is parked") };
    assert_eq!((poison.subject.as_str(), poison.consumer.as_str(), all.len()), ("subject", "count", 3));
    let waiting = Filter { cause: Some("earlier event".to_owned()), ..Filter::default() };
    assert_eq!(repair.page(&waiting, 0, 10).await.unwrap().len(), 2);
    // Nothing passes the first one.
    let steps = replay(&repair, order(waiting)).await;
    assert!(steps.iter().all(|step| step.outcome == Outcome::Skipped), "{steps:?}");
    assert!(steps[0].cause.contains(&format!("promotion-{} of the same key comes first", poison.id)), "{steps:?}");

    assert_eq!(repair.get(poison.id).await.unwrap().payload, BREAKS.as_bytes());
    assert_eq!(repair.edit(poison.id, b"mended", &deed()).await.unwrap().payload, b"mended");
    let steps = replay(&repair, order(Filter::default())).await;
    assert!(steps.iter().all(|step| step.outcome == Outcome::Done && step.total == 3), "{steps:?}");
    assert_eq!(steps.last().unwrap().done, 3);
    assert_eq!(sequences(&place, "subject").await, [1, 2, 3]);
    assert!(letters(&repair).await.is_empty());
    let actions: Vec<_> = actions(&place).await.into_iter().map(|(who, what, _)| (who, what)).collect();
    let done = |what: &str| ("ann".to_owned(), what.to_owned());
    assert_eq!(actions, [done("EDIT"), done("REPLAY DONE"), done("REPLAY DONE"), done("REPLAY DONE")]);
    let kept =
        "SELECT count(*) FROM dead_letter_action WHERE before = 'breaks' AND after = 'mended' AND why = 'a test'";
    assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(&place.pool).await.unwrap(), 1);
    let change = sqlx::query("UPDATE dead_letter_action SET operator = 'bob'").execute(&place.pool).await;
    assert!(change.unwrap_err().to_string().contains("append only"));

    // The key waits for nothing any more.
    Producer::new(&place).send(&[Record::event(tag(2), "subject", 4)]).await;
    until_consumed(&place, "count").await;
    assert_eq!(sequences(&place, "subject").await, [1, 2, 3, 4]);
    place.assert_once("count", 5).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_replay_while_events_of_the_key_arrive_loses_nothing_and_keeps_the_order() {
    const EVENTS: i64 = 300;
    let (place, consumer) = stuck("repair-running", &["subject"], 20).await;
    let repair = repair(&place);
    repair.edit(letters(&repair).await[0].id, b"mended", &deed()).await.unwrap();
    let arrive = async {
        let producer = Producer::new(&place);
        for sequence in 22..=EVENTS {
            producer.send(&[Record::event(tag(2), "subject", sequence)]).await;
        }
        until_consumed(&place, "count").await;
    };
    let mend = async {
        while !letters(&repair).await.is_empty() {
            replay(&repair, order(Filter::default())).await;
        }
    };
    tokio::join!(arrive, mend);
    replay(&repair, order(Filter::default())).await;
    assert_eq!(sequences(&place, "subject").await, (1..=EVENTS).collect::<Vec<_>>());
    place.assert_once("count", usize::try_from(EVENTS).unwrap() + 1).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn two_operators_at_once_replay_each_event_once() {
    let subjects = ["one", "two", "three"];
    let (place, consumer) = stuck("repair-two", &subjects, 10).await;
    let repair = repair(&place);
    for poison in letters(&repair).await.iter().filter(|letter| !letter.cause.contains("earlier event")) {
        repair.edit(poison.id, b"mended", &deed()).await.unwrap();
    }
    let both = [replay(&repair, order(Filter::default())), replay(&repair, order(Filter::default()))];
    let steps = futures::future::join_all(both).await.concat();
    let done: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Done).map(|step| step.id).collect();
    assert_eq!(done.len(), done.iter().collect::<HashSet<_>>().len(), "{steps:?}");
    assert!(steps.iter().all(|step| matches!(step.outcome, Outcome::Done | Outcome::Skipped)), "{steps:?}");
    // Where one passed over what the other had before it, the same order goes on.
    replay(&repair, order(Filter::default())).await;
    assert!(letters(&repair).await.is_empty());
    for subject in subjects {
        assert_eq!(sequences(&place, subject).await, (1..=11).collect::<Vec<_>>());
    }
    place.assert_once("count", 34).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_fails_three_times_is_quarantined_until_it_is_named_or_edited() {
    let (place, consumer) = stuck("repair-quarantine", &["subject"], 1).await;
    let repair = repair(&place);
    let id = letters(&repair).await[0].id;
    for failed in 1..=3 {
        let steps = replay(&repair, order(Filter::default())).await;
        assert_eq!(steps.iter().map(|step| step.outcome).collect::<Vec<_>>(), [Outcome::Failed, Outcome::Skipped]);
        assert!(steps[0].cause.contains("effect_body_check"), "{steps:?}");
        let letter = repair.get(id).await.unwrap();
        assert_eq!(letter.failed_replays, failed);
        assert!(letter.replay_cause.unwrap().contains("effect_body_check"));
    }
    assert_eq!(repair.get(id).await.unwrap().state, State::Quarantined);
    let steps = replay(&repair, order(Filter::default())).await;
    assert_eq!(steps.iter().map(|step| (step.outcome, step.total)).collect::<Vec<_>>(), [(Outcome::Skipped, 1)]);
    assert_eq!(outcomes(&repair, order(named(&[id]))).await, [Outcome::Failed], "who is named is tried");
    let edited = repair.edit(id, b"mended", &deed()).await.unwrap();
    assert_eq!((edited.state, edited.failed_replays, edited.replay_cause), (State::Parked, 0, None));
    assert_eq!(outcomes(&repair, order(Filter::default())).await, [Outcome::Done, Outcome::Done]);
    let failed = actions(&place).await.iter().filter(|(_, action, _)| action == "REPLAY FAILED").count();
    assert_eq!(failed, 4);
    place.assert_once("count", 3).await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_discard_lets_what_waits_behind_it_go_on() {
    let (place, consumer) = stuck("repair-discard", &["subject", "second"], 3).await;
    let repair = repair(&place);
    let of_subject: Vec<_> = letters(&repair).await.into_iter().filter(|letter| letter.subject == "subject").collect();
    // The poison, and one in the middle.
    for id in [of_subject[0].id, of_subject[2].id] {
        assert_eq!(repair.discard(id, &deed()).await.unwrap().id, id);
        assert!(matches!(repair.discard(id, &deed()).await, Err(Error::Refused(Refusal::NotFound))));
    }
    let kept =
        "SELECT count(*) FROM dead_letter_action WHERE action = 'DISCARD' AND before = 'breaks' AND after IS NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(&place.pool).await.unwrap(), 1);
    assert_eq!(outcomes(&repair, order(key("subject"))).await, [Outcome::Done, Outcome::Done]);
    assert_eq!(sequences(&place, "subject").await, [2, 4]);
    assert_eq!(letters(&repair).await.len(), 4, "the other key still waits");
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (place, consumer) = stuck("repair-dry", &["subject", "broken"], 2).await;
    let repair = repair(&place);
    let all = letters(&repair).await;
    repair.edit(all[0].id, b"mended", &deed()).await.unwrap();
    let dump = async || {
        let statement = "SELECT array_agg(row::text ORDER BY row::text) FROM (
            SELECT row::text FROM parked AS row UNION ALL SELECT row::text FROM effect AS row
            UNION ALL SELECT row::text FROM state AS row UNION ALL SELECT row::text FROM inbox AS row
            UNION ALL SELECT row::text FROM dead_letter_action AS row) AS row";
        sqlx::query_scalar::<_, Vec<String>>(statement).fetch_one(&place.pool).await.unwrap()
    };
    let before = dump().await;
    let dry = Order { dry_run: true, ..order(Filter::default()) };
    let expected = [[Outcome::Would; 3], [Outcome::Failed, Outcome::Skipped, Outcome::Skipped]].concat();
    for _ in 0..2 {
        assert_eq!(outcomes(&repair, dry.clone()).await, expected);
    }
    let rest = Order { after: all[3].id, ..dry };
    assert_eq!(outcomes(&repair, rest).await, [Outcome::Skipped; 2], "the last two");
    assert_eq!(dump().await, before);
    consumer.stop().await;
    place.end().await;
}

/// Effects that are written, and then wait for ever.
struct Hanging(Counting);

impl Effects for Hanging {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let _ = self.0.apply(tx, events).await?;
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_death_between_effect_and_commit_leaves_the_dead_letter_where_it_was() {
    let (place, consumer) = stuck("repair-death", &["subject"], 1).await;
    let repair = repair(&place);
    repair.edit(letters(&repair).await[0].id, b"mended", &deed()).await.unwrap();
    // A process of its own, which dies without a word.
    let (dying, servers) = (tokio::runtime::Runtime::new().unwrap(), place.servers.clone());
    dying.spawn(async move {
        let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
        let hanging = Repair::new(SERVICE, pool).with(Consumer::new(
            "count",
            SERVICE,
            Vec::new(),
            Hanging(Counting::new("count")),
        ));
        replay(&hanging, order(Filter::default())).await
    });
    let written =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
        AND query LIKE 'INSERT INTO state%'";
    until("the effect is written", async || place.number(written).await == 1).await;
    dying.shutdown_background();
    // Whoever takes it up waits until PostgreSQL has seen the death, and finds everything as it was.
    assert_eq!(outcomes(&repair, order(Filter::default())).await, [Outcome::Done, Outcome::Done]);
    assert_eq!(sequences(&place, "subject").await, [1, 2]);
    place.assert_once("count", 3).await;
    assert_eq!(actions(&place).await.len(), 3);

    // A client that leaves is the same.
    Producer::new(&place).send(&[Record::event(tag(2), "subject", 3).carrying(BREAKS)]).await;
    until_consumed(&place, "count").await;
    let hanging = Repair::new(SERVICE, place.pool.clone()).with(Consumer::new(
        "count",
        SERVICE,
        Vec::new(),
        Hanging(Counting::new("count")),
    ));
    repair.edit(letters(&repair).await[0].id, b"mended", &deed()).await.unwrap();
    let mut steps = hanging.replay(order(Filter::default()), Deadline::after(PATIENCE)).boxed();
    assert!(tokio::time::timeout(Duration::from_secs(1), steps.next()).await.is_err());
    drop(steps);
    assert_eq!(letters(&repair).await.len(), 1);
    assert_eq!(outcomes(&repair, order(Filter::default())).await, [Outcome::Done]);
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn what_never_was_an_event_can_only_be_discarded() {
    let place = Place::new("repair-never").await;
    let unread = Record::event(tag(2), "subject", 1).with("ce_id", *b"one\xffid");
    Producer::new(&place).send(&[unread]).await;
    place.write(tag(3), [("kind".to_owned(), "unheard-of".to_owned())].into()).await;
    let whole = Running::whole(&place, "count").await;
    let repair = repair(&place);
    until("both are parked", async || letters(&repair).await.len() == 2).await;
    let steps = replay(&repair, order(Filter::default())).await;
    assert!(steps.iter().all(|step| step.outcome == Outcome::Skipped), "{steps:?}");
    for words in ["an entry of a journal that the relay could not read", "could not be read when it was parked"] {
        assert!(steps.iter().any(|step| step.cause.contains(words)), "{words}: {steps:?}");
    }
    for letter in letters(&repair).await {
        let edited = repair.edit(letter.id, b"x", &deed()).await;
        assert!(matches!(edited, Err(Error::Refused(Refusal::NotReplayable(_)))), "{edited:?}");
        repair.discard(letter.id, &deed()).await.unwrap();
    }
    assert!(letters(&repair).await.is_empty());
    place.assert_once("count", 0).await;
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_replay_keeps_its_rate_and_what_took_effect_already_does_not_do_so_twice() {
    let (place, consumer) = stuck("repair-rate", &["subject"], 4).await;
    let repair = repair(&place);
    let all = letters(&repair).await;
    repair.edit(all[0].id, b"mended", &deed()).await.unwrap();
    // The last one had taken effect before: its dead letter came from a record that was sent twice.
    let known = repair.get(all[4].id).await.unwrap().event().unwrap();
    let note = "INSERT INTO inbox VALUES ('count', $1, $2)";
    sqlx::query(note).bind(&known.id).bind(known.time).execute(&place.pool).await.unwrap();
    let begun = tokio::time::Instant::now();
    let slow = Order { per_second: 4, ..order(Filter::default()) };
    let found = outcomes(&repair, slow).await;
    assert_eq!(found, [[Outcome::Done; 4].as_slice(), &[Outcome::Again]].concat());
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(sequences(&place, "subject").await, [1, 2, 3, 4]);
    consumer.stop().await;
    place.end().await;
}
