//! The whole topic is read once more from its start, and nothing in PostgreSQL changes: not one byte.

use std::ops::Range;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use futures::future::ready;
use futures::stream::{self, StreamExt as _};
use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use trial::ground::Ground;
use trial::process::Child;
use trial::topic::Topic;

use crate::booster::{PATH, promotions, run, told};
use crate::crowd::{Client, claiming, creating, doors};

/// What promotion tells, and reads.
const TOPIC: &str = "booster.promotion.v1";
/// A deal whose tag no other deal of a test has.
const OTHER_DEAL: &str = "dinner";
/// Around an instant that lies between two events by everybody's clock.
const BETWEEN: Duration = Duration::from_millis(100);
/// Replays, one after the other.
const REPLAYS: usize = 2;
/// Coupons, users of each wave, and every so many of the first winners gives his coupon back.
const STOCK: i64 = 400;
const USERS: usize = 500;
const RETURNS: usize = 5;
/// How long a copy of what is parked may take.
const COPIED: Duration = Duration::from_secs(30);
/// Tables that tell who relays, not what has happened: a process that starts takes the lease anew, and writes its marks down
/// under its own token.
const NOT_COMPARED: [&str; 2] = ["lease", "journal_mark"];

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_replayed_from_its_start_changes_nothing() {
    let (ground, mut processes) = promotions("replay", 1).await;
    let topic = topic(&ground);
    let process = &mut processes[0];
    let mut client = doors(&[process.grpc_url()]).await.remove(0);
    live(&mut client).await;
    // It waits until everything has arrived.
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 500 coupons, 0 violations\n"));
    rest(&topic, &ground, process).await;
    // Without the inbox, too, the same events lead to the same rows; and the inbox comes to be what it was.
    let before = dump(&ground).await;
    sqlx::raw_sql("TRUNCATE promotion.inbox").execute(&mut connect(&ground).await).await.unwrap();
    rewind(&topic, &ground, process, &before).await;

    // What is parked is a part of the state: what is no event at all, and what comes for a coupon that is there.
    put_poison(&topic);
    process.start_again().await;
    rest(&topic, &ground, process).await;
    let before = dump(&ground).await;
    for (table, rows) in [("coupon", 500), ("deal", 1), ("journal_progress", 1), ("parked", 2), ("request", 1)] {
        assert_eq!(before.iter().find(|(name, _)| name == table).unwrap().1.len(), rows, "{table}");
    }
    for _ in 0..REPLAYS {
        rewind(&topic, &ground, process, &before).await;
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_replays_a_topic_beside_the_process_and_only_what_was_lost_takes_effect() {
    let (ground, mut processes) = promotions("replay-command", 1).await;
    let topic = topic(&ground);
    let mut client = doors(&[processes[0].grpc_url()]).await.remove(0);
    live(&mut client).await;
    put_poison(&topic);
    settle(&topic, &ground).await;
    let (before, records) = (dump(&ground).await, 502 + 80);
    let everything = format!("replay     {records} read: 0 first, {} again, 2 parked, 0 skipped\n", records - 2);
    for _ in 0..REPLAYS {
        assert_eq!(replayed(&ground, "beginning", "now").await, everything);
        compare(&before, &dump(&ground).await);
    }

    // A span: what came before it, and what came in it.
    tokio::time::sleep(BETWEEN).await;
    let mark = humantime::format_rfc3339(SystemTime::now()).to_string();
    tokio::time::sleep(BETWEEN).await;
    client.create_deal(creating(OTHER_DEAL, 1)).await.unwrap();
    client.claim_coupon(claiming(OTHER_DEAL, "zoe")).await.unwrap();
    settle(&topic, &ground).await;
    let again = "replay     1 read: 0 first, 1 again, 0 parked, 0 skipped\n";
    assert_eq!(replayed(&ground, &mark, "now").await, again);
    assert_eq!(replayed(&ground, "beginning", &mark).await, everything);

    // An event that was lost takes effect, and everything is as if it had never been.
    let before = dump(&ground).await;
    lose(&ground, OTHER_DEAL).await;
    let changed = dump(&ground).await;
    assert!(before != changed);
    let audit = run(Some(&ground), &["audit"]).await;
    let said = String::from_utf8(audit.stdout).unwrap();
    assert!(said.contains(OTHER_DEAL), "{said}");
    let first = "replay     1 read: 1 first, 0 again, 0 parked, 0 skipped\n";
    assert_eq!(replayed(&ground, &mark, "now").await, first);
    compare(&before, &dump(&ground).await);
    sqlx::raw_sql("DELETE FROM promotion.parked").execute(&mut connect(&ground).await).await.unwrap();
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 501 coupons, 0 violations\n"));

    // Whoever ends it is told how to go on.
    let (said, code) = ended(&ground, &["--from", "beginning", "--to", "now", "--per-second", "50"]).await;
    assert_eq!(code, Some(130), "{said}");
    let (_, from) = said.split_once(" of 583 records are done; go on with --from ").unwrap_or_else(|| panic!("{said}"));
    let rest = replayed(&ground, from, "now").await;
    assert!(rest.contains(" read: 0 first, "), "{rest}");
    assert_eq!(processes[0].stop().await, Some(0));
    ground.end().await;
}

/// What `booster replay` tells at its end.
async fn replayed(ground: &Ground, from: &str, to: &str) -> String {
    told(Some(ground), &["replay", "--topic", TOPIC, "--consumer", "promotion", "--from", from, "--to", to]).await
}

/// What it says on standard error when it is told to end on its way, and its exit code.
async fn ended(ground: &Ground, args: &[&str]) -> (String, Option<i32>) {
    let mut command = tokio::process::Command::new(PATH);
    command
        .args(["replay", "--topic", TOPIC, "--consumer", "promotion"])
        .args(args)
        .envs(ground.env())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = lines.next_line().await.unwrap().unwrap();
    // It has begun; soon something is done.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
    }
    (said, child.wait().await.unwrap().code())
}

/// As if the consumer had passed over the only event of a deal.
async fn lose(ground: &Ground, deal: &str) {
    let tag = bus::journal::Tag::of(deal).number();
    let mut admin = connect(ground).await;
    for (statement, name) in [
        ("DELETE FROM promotion.inbox WHERE ce_id LIKE $1", format!("promotion/{tag}/%")),
        ("DELETE FROM promotion.coupon WHERE deal_id LIKE $1", deal.to_owned()),
    ] {
        let lost = sqlx::query(statement).bind(name).execute(&mut admin).await.unwrap();
        assert_eq!(lost.rows_affected(), 1, "{statement}");
    }
}

fn topic(ground: &Ground) -> Topic {
    let servers = ground.servers();
    let (name, group) = (servers.prefixed(TOPIC), servers.prefixed("promotion"));
    Topic { brokers: servers.kafka_brokers, name, group }
}

/// What is no event at all, and what comes for a coupon that is there.
fn put_poison(topic: &Topic) {
    topic.put(&[], "not an event").unwrap();
    topic.put(&broken_event(&humantime::format_rfc3339(SystemTime::now()).to_string()), "not a coupon").unwrap();
}

fn compare(before: &[(String, Vec<String>)], after: &[(String, Vec<String>)]) {
    for ((table, before), (_, after)) in before.iter().zip(after) {
        let first = before.iter().zip(after).find(|(before, after)| before != after);
        assert!(before == after, "{table} had {} rows, now {}: {first:?}", before.len(), after.len());
    }
}

/// Reads the topic once more from its start, and compares.
async fn rewind(topic: &Topic, ground: &Ground, process: &mut Child, before: &[(String, Vec<String>)]) {
    let rewound = topic.clone();
    let records = tokio::task::spawn_blocking(move || rewound.rewind().unwrap()).await.unwrap();
    assert!(records > 500, "only {records} records will be read again");
    process.start_again().await;
    rest(topic, ground, process).await;
    compare(before, &dump(ground).await);
}

/// Claims, returns, claims of what came free, a raise, and claims again.
async fn live(client: &mut Client) {
    let asked = pb::CreateDealRequest { request_id: "first".to_owned(), ..creating("lunch", STOCK) };
    client.create_deal(asked).await.unwrap();
    let won = claim(client, 0..USERS).await;
    for (coupon_id, user_id) in won.into_iter().step_by(RETURNS) {
        client.return_coupon(pb::ReturnCouponRequest { coupon_id, user_id }).await.unwrap();
    }
    assert_eq!(claim(client, USERS..2 * USERS).await.len(), 80);
    let deal = pb::Deal { deal_id: "lunch".to_owned(), stock: STOCK + 20, ..pb::Deal::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["stock".to_owned()] });
    client.update_deal(pb::UpdateDealRequest { deal: Some(deal), update_mask }).await.unwrap();
    assert_eq!(claim(client, 2 * USERS..3 * USERS).await.len(), 20);
}

/// What they win, and who.
async fn claim(client: &Client, users: Range<usize>) -> Vec<(String, String)> {
    let claims = users.map(|user| {
        let mut client = client.clone();
        async move {
            let user = format!("user-{user}");
            let coupon = client.claim_coupon(claiming("lunch", &user)).await.ok()?.into_inner().coupon?;
            Some((coupon.coupon_id, user))
        }
    });
    // More than 128 at once on one connection would be shed.
    stream::iter(claims).buffered(100).filter_map(ready).collect().await
}

/// An event of a coupon, but for its payload.
fn broken_event(ce_time: &str) -> [(&'static str, &str); 7] {
    [
        ("ce_id", "0199c0de-0000-7000-8000-000000000000"),
        ("ce_type", "booster.promotion.v1.CouponClaimed"),
        ("ce_source", "promotion"),
        ("ce_subject", "lunch-2"),
        ("ce_time", ce_time),
        ("ce_sequence", "7"),
        ("ce_partitionkey", "49"),
    ]
}

/// The same; then nobody runs any more.
async fn rest(topic: &Topic, ground: &Ground, process: &mut Child) {
    settle(topic, ground).await;
    assert_eq!(process.stop().await, Some(0));
}

/// Until everything is on the topic, the group has read it, and everything that is parked has been copied.
async fn settle(topic: &Topic, ground: &Ground) {
    // It waits until everything has arrived, and does not like what is parked.
    run(Some(ground), &["audit"]).await;
    let topic = topic.clone();
    tokio::task::spawn_blocking(move || topic.read_to_the_end().unwrap()).await.unwrap();
    let (mut admin, since) = (connect(ground).await, Instant::now());
    let uncopied = "SELECT count(*) FROM promotion.parked WHERE copied_at IS NULL";
    while sqlx::query_scalar::<_, i64>(uncopied).fetch_one(&mut admin).await.unwrap() > 0 {
        assert!(since.elapsed() < COPIED, "what is parked is not copied");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn connect(ground: &Ground) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap()
}

/// Every row of every table, as text, in order.
async fn dump(ground: &Ground) -> Vec<(String, Vec<String>)> {
    let mut admin = connect(ground).await;
    // Partitions are dumped with the table that they belong to.
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'promotion'::regnamespace
         AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut dump = Vec::new();
    for table in tables.into_iter().filter(|table| !NOT_COMPARED.contains(&table.as_str())) {
        let rows = format!("SELECT row::text FROM promotion.{table} AS row ORDER BY row::text COLLATE \"C\"");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).fetch_all(&mut admin).await.unwrap();
        dump.push((table, rows));
    }
    dump
}
