//! Every topic is read once more from its start, by each of its consumers, twice: no row of any table changes, and no board.

use proto::ranking::v1 as ranking;
use proto::ranking::v1::ranking_service_client::RankingServiceClient;
use sqlx::Connection as _;
use trial::ground::Ground;

use super::case::{self, Case, DEAL, ITEM, PRICE};
use super::house::House;
use crate::booster::told;

/// Who reads what.
const READERS: [(&str, &str); 8] = [
    ("promotion", "promotion"),
    ("promotion", "order"),
    ("order", "promotion.orders"),
    ("order", "point"),
    ("order", "payment"),
    ("order", "ranking"),
    ("point", "order"),
    ("payment", "order"),
];
/// Tables that tell who relays, not what has happened.
const NOT_COMPARED: [&str; 2] = ["lease", "journal_mark"];
/// Cases of three orders each.
const CASES: usize = 5;
/// Replays, one after the other.
const REPLAYS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_replayed_from_their_start_change_nothing() {
    let mut house = House::start("saga-again", None).await;
    house.doors.stock(ITEM, PRICE, 1_000, DEAL).await;
    for number in 0..CASES {
        let case = Case::prepare(&mut house.doors, &format!("again-{number}")).await;
        let ended = case.play(&house.doors).await;
        case::check(&mut house, &ended).await;
    }
    // It waits until everything has arrived.
    house.audit().await;
    let (before, board) = (dump(&house.ground).await, board(&house).await);
    for (table, rows) in [("order.orders", 15), ("payment.payment", 15), ("promotion.coupon", 15)] {
        let (_, found) = before.iter().find(|(name, _)| name == table).unwrap();
        assert_eq!(found.len(), rows, "{table}");
    }
    for _ in 0..REPLAYS {
        for (topic, consumer) in READERS {
            let topic = format!("booster.{topic}.v1");
            let flags = ["--from", "beginning", "--to", "now", "--per-second", "10000"];
            let args = [&["replay", "--topic", &topic, "--consumer", consumer], &flags[..]].concat();
            let said = told(Some(&house.ground), &args).await;
            assert!(said.contains(" 0 first, ") && said.contains(" 0 parked, "), "{topic} {consumer}: {said}");
        }
        for ((table, before), (_, after)) in before.iter().zip(&dump(&house.ground).await) {
            let first = before.iter().zip(after).find(|(before, after)| before != after);
            assert!(before == after, "{table} had {} rows, now {}: {first:?}", before.len(), after.len());
        }
        assert_eq!(self::board(&house).await, board);
    }
    house.end().await;
}

/// Every row of every table of every service, as text, in order.
async fn dump(ground: &Ground) -> Vec<(String, Vec<String>)> {
    let mut admin = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
    // Partitions are dumped with the table that they belong to.
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT nspname::text, relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname IN ('promotion', 'order', 'point', 'payment', 'ranking') AND relkind IN ('r', 'p')
           AND NOT relispartition ORDER BY 1, 2",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut dump = Vec::new();
    for (schema, table) in tables.into_iter().filter(|(_, table)| !NOT_COMPARED.contains(&table.as_str())) {
        let rows = format!("SELECT row::text FROM \"{schema}\".{table} AS row ORDER BY row::text COLLATE \"C\"");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).fetch_all(&mut admin).await.unwrap();
        dump.push((format!("{schema}.{table}"), rows));
    }
    dump
}

/// What ranking shows.
async fn board(house: &House) -> Vec<Vec<ranking::BoardEntry>> {
    let mut client = RankingServiceClient::connect(house.children["ranking"].grpc_url()).await.unwrap();
    let mut boards = Vec::new();
    for period in [ranking::Period::Daily, ranking::Period::Weekly, ranking::Period::AllTime] {
        let asked = ranking::ListTopRequest { period: period.into(), ..ranking::ListTopRequest::default() };
        boards.push(client.list_top(asked).await.unwrap().into_inner().entries);
    }
    assert!(boards.iter().all(|board| board.len() == 1), "{boards:?}");
    boards
}
