//! The whole topic is read once more from its start, and nothing in PostgreSQL changes: not one byte.

use std::ops::Range;

use futures::future::ready;
use futures::stream::{self, StreamExt as _};
use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use trial::ground::Ground;
use trial::topic::Topic;

use crate::booster::{promotions, told};
use crate::crowd::{Client, claiming, creating, doors};

/// Replays, one after the other.
const REPLAYS: usize = 3;
/// Coupons, users of each wave, and every so many of the first winners gives his coupon back.
const STOCK: i64 = 400;
const USERS: usize = 500;
const RETURNS: usize = 5;
/// Tables that tell who relays, not what has happened: a process that starts takes the lease anew, and writes its marks down
/// under its own token.
const NOT_COMPARED: [&str; 2] = ["lease", "journal_mark"];

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_replayed_from_its_start_changes_nothing() {
    let (ground, mut processes) = promotions("replay", 1).await;
    let servers = ground.servers();
    let name = format!("{}.booster.promotion.v1", ground.namespace());
    let group = format!("{}.promotion", ground.namespace());
    let topic = Topic { brokers: servers.kafka_brokers, name, group };
    let mut client = doors(&[processes[0].grpc_url()]).await.remove(0);
    live(&mut client).await;
    // It waits until everything has arrived.
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 500 coupons, 0 violations\n"));
    // What is parked is a part of the state.
    topic.put(&[], "not an event").unwrap();
    at_rest(&topic, &ground).await;
    assert_eq!(processes[0].stop().await, Some(0));

    let before = dump(&ground).await;
    for table in ["coupon", "deal", "inbox", "journal_progress", "parked", "request", "tag"] {
        assert!(before.iter().any(|(name, rows)| name == table && !rows.is_empty()), "{table} is empty");
    }
    for replay in 1..=REPLAYS {
        if replay == REPLAYS {
            // Without the inbox, too, the same events lead to the same rows; and the inbox comes to be what it was.
            let forget = sqlx::raw_sql("TRUNCATE promotion.inbox");
            forget.execute(&mut connect(&ground).await).await.unwrap();
        }
        let rewound = topic.clone();
        let records = tokio::task::spawn_blocking(move || rewound.rewind().unwrap()).await.unwrap();
        assert!(records > 500, "only {records} records will be read again");
        processes[0].start_again().await;
        at_rest(&topic, &ground).await;
        assert_eq!(processes[0].stop().await, Some(0));
        for ((table, before), (_, after)) in before.iter().zip(dump(&ground).await) {
            let first = before.iter().zip(&after).find(|(before, after)| before != after);
            assert!(*before == after, "{table} has changed in replay {replay}: {first:?}");
        }
    }
    ground.end().await;
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

/// Until the group has read everything, and everything that is parked has been copied.
async fn at_rest(topic: &Topic, ground: &Ground) {
    let topic = topic.clone();
    tokio::task::spawn_blocking(move || topic.read_to_the_end().unwrap()).await.unwrap();
    let mut admin = connect(ground).await;
    for _ in 0..300 {
        let copied = "SELECT count(*) = 1 FROM promotion.parked WHERE copied_at IS NOT NULL";
        if sqlx::query_scalar(copied).fetch_one(&mut admin).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("what is parked is not copied");
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
