//! The dead letters of several services, as of one: lists go through all of them, and so do replays.

use bus::consumer::Consumer;
use bus::dead_letter::{Filter, Refusal};
use bus::repair::all::{Listed, Name, Orders, Repairs};
use bus::repair::replay::{Outcome, Step};
use bus::repair::{Error, Repair};
use futures::TryStreamExt as _;
use kit::grpc::Deadline;
use kit::postgres::Pool;
use time::format_description::well_known::Rfc3339;

use crate::counting::{self, BREAKS, COUNTED, Counting, SERVICE};
use crate::place::{PATIENCE, Place, until};
use crate::running::Running;

/// Another service whose role and schema are borrowed.
const OTHER: &str = "order";
/// A rate that holds up no test.
const FAST: u32 = 1_000;

/// Two services in one place, with some dead letters each.
struct Scene {
    place: Place,
    other: Pool,
    repairs: Repairs,
}

impl Scene {
    async fn new(name: &str, letters: [i64; 2]) -> Self {
        let place = Place::new(name).await;
        bus::topic::make(&place.servers, OTHER).await.unwrap();
        let other = kit::postgres::connect(&place.servers, OTHER).await.unwrap();
        counting::make_tables(&other).await;
        let consumer = |service| {
            Consumer::new(&format!("{service}-count"), service, vec![bus::topic::name(service)], Counting::new("count"))
        };
        // Whoever consumes makes the partitions of the inbox.
        let running = Running::start().await;
        let mut repairs = Vec::new();
        for ((service, pool), number) in [(SERVICE, &place.pool), (OTHER, &other)].into_iter().zip(letters) {
            running.add(&place, consumer(service)).await;
            let inbox = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'inbox'::regclass)";
            until("the inbox has partitions", async || {
                sqlx::query_scalar::<_, bool>(inbox).fetch_one(pool).await.unwrap()
            })
            .await;
            for nth in 0..number {
                park(pool, service, nth, "a body").await;
            }
            repairs.push(Repair::new(service, pool.clone()).with(consumer(service)));
        }
        running.stop().await;
        Self { repairs: Repairs::new(repairs), place, other }
    }

    async fn list(&self, after: Option<&Name>, limit: i64) -> Listed {
        self.repairs.list(&Filter::default(), after, limit).await.unwrap().unwrap()
    }

    /// Names of all that are parked, in order.
    async fn all(&self) -> Vec<Name> {
        self.list(None, 1_000).await.letters.iter().map(|(service, letter)| name(service, letter.id)).collect()
    }

    async fn replay(&self, orders: &Orders) -> Vec<(&'static str, Step)> {
        self.repairs.replay(orders, Deadline::after(PATIENCE)).unwrap().try_collect().await.unwrap()
    }

    async fn end(self) {
        self.other.close().await;
        self.place.end().await;
    }
}

fn name(service: &str, id: i64) -> Name {
    Name { service: service.to_owned(), id }
}

fn orders() -> Orders {
    let filter = Filter::default();
    Orders { filter, named: Vec::new(), after: None, per_second: FAST, dry_run: false, operator: "ann".to_owned() }
}

/// Parks an event under a key of its own.
async fn park(pool: &Pool, service: &str, nth: i64, body: &str) {
    let subject = format!("subject-{nth}");
    let time = kit::clock::now().format(&Rfc3339).unwrap();
    let headers = serde_json::json!({
        "ce_id": uuid::Uuid::now_v7().to_string(), "ce_type": COUNTED, "ce_source": "test", "ce_subject": subject,
        "ce_time": time, "ce_sequence": "1", "ce_partitionkey": "1",
    });
    let statement = r#"INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
        VALUES ($1, $2, 'topic', 0, $3, $4, $5, $6, 1)"#;
    let query = sqlx::query(statement).bind(format!("{service}-count")).bind(&subject).bind(nth).bind(headers);
    query.bind(body.as_bytes()).bind(format!("cause {}", nth % 2)).execute(pool).await.unwrap();
}

async fn effects(pool: &Pool) -> Vec<String> {
    sqlx::query_scalar("SELECT subject FROM effect ORDER BY n").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_list_goes_page_by_page_through_all_services() {
    let scene = Scene::new("several-list", [3, 4]).await;
    let all = scene.all().await;
    let services: Vec<&str> = all.iter().map(|name| name.service.as_str()).collect();
    assert_eq!(services, [[SERVICE; 3].as_slice(), &[OTHER; 4]].concat());
    for size in 1..=8 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = scene.list(after.as_ref(), size).await;
            // Of everything, on whatever page.
            assert_eq!(page.causes, [("cause 0".to_owned(), 4), ("cause 1".to_owned(), 3)]);
            let names: Vec<_> = page.letters.iter().map(|(service, letter)| name(service, letter.id)).collect();
            let Some(last) = names.last() else { break };
            after = Some(last.clone());
            seen.extend(names);
        }
        assert_eq!(seen, all, "in pages of {size}");
    }
    let filter = Filter { consumer: Some("order-count".to_owned()), ..Filter::default() };
    assert_eq!(scene.repairs.list(&filter, None, 10).await.unwrap().unwrap().letters.len(), 4);
    let foreign = scene.repairs.list(&Filter::default(), Some(&name("point", 1)), 10).await.unwrap();
    assert!(foreign.is_none(), "no service of that name is here");
    scene.end().await;
}

#[tokio::test]
async fn a_replay_goes_through_all_services_and_on_where_it_was() {
    let scene = Scene::new("several-replay", [3, 4]).await;
    let all = scene.all().await;
    let dry = scene.replay(&Orders { dry_run: true, ..orders() }).await;
    assert!(dry.iter().all(|(_, step)| (step.outcome, step.total) == (Outcome::Would, 7)), "{dry:?}");
    assert_eq!(dry.iter().map(|(_, step)| step.done).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);

    // Named ones, of both; then what comes after one of the first; then the rest.
    let named = vec![all[5].clone(), all[0].clone()];
    let done = scene.replay(&Orders { named, ..orders() }).await;
    assert_eq!(
        done.iter().map(|(service, step)| name(service, step.id)).collect::<Vec<_>>(),
        [all[0].clone(), all[5].clone()]
    );
    assert!(done.iter().all(|(_, step)| (step.outcome, step.total) == (Outcome::Done, 2)), "{done:?}");
    let done = scene.replay(&Orders { after: Some(all[1].clone()), ..orders() }).await;
    assert_eq!(done.len(), 4, "{done:?}");
    assert_eq!(effects(&scene.place.pool).await, ["subject-0", "subject-2"]);
    assert_eq!(effects(&scene.other).await, ["subject-2", "subject-0", "subject-1", "subject-3"]);
    assert_eq!(scene.replay(&Orders { after: Some(all[3].clone()), ..orders() }).await.len(), 0);
    assert_eq!(scene.replay(&orders()).await.len(), 1);
    assert_eq!(scene.all().await.len(), 0);
    scene.end().await;
}

#[tokio::test]
async fn what_fails_in_one_service_holds_up_no_other() {
    let scene = Scene::new("several-fails", [0, 1]).await;
    park(&scene.place.pool, SERVICE, 7, BREAKS).await;
    let steps = scene.replay(&orders()).await;
    assert_eq!(steps.iter().map(|(_, step)| step.outcome).collect::<Vec<_>>(), [Outcome::Failed, Outcome::Done]);
    assert_eq!(scene.all().await.len(), 1);
    let foreign = Orders { named: vec![name("point", 1)], ..orders() };
    let refused = scene.repairs.replay(&foreign, Deadline::after(PATIENCE)).map(drop);
    assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound))), "{refused:?}");
    assert!(matches!(scene.repairs.of("point").map(drop), Err(Error::Refused(Refusal::NotFound))));
    scene.end().await;
}
