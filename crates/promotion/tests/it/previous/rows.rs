//! The statements of before on the tables of today, and orders that either writes down and the other finishes.

use std::time::Duration;

use promotion::deal::{Decision, Patch, Wish};
use promotion::postgres::deal as rows;
use promotion::postgres::order::{self, Wished};
use proto::promotion::v1 as pb;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::Instant;

use super::{Pair, stock};
use crate::service::{Service, deal, later};
use crate::shelf::{found, wish};

/// What a process of before asks of PostgreSQL, statement after statement.
const STATEMENTS: &str = include_str!("statements.sql");
/// How long an order may wait for whoever finishes what was begun.
const FINISHED: Duration = Duration::from_secs(30);

/// All of them.
fn statements() -> Vec<&'static str> {
    let (_, statements) = STATEMENTS.split_once("\n\n").unwrap();
    statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

/// The one that begins so.
fn statement(beginning: &str) -> AssertSqlSafe<&'static str> {
    let mut found = statements().into_iter().filter(|statement| statement.starts_with(beginning));
    let statement = found.next().unwrap();
    assert!(found.next().is_none(), "{beginning} is not the beginning of one statement");
    AssertSqlSafe(statement)
}

const WISH: &str = "UPDATE promotion.deal SET version = version + 1, wanted_stock = $2 WHERE";
const ARMED: &str = "UPDATE promotion.deal SET state = 'ARMED'";
const APPLIED: &str = "UPDATE promotion.deal SET applied = $2, stock";
const CREATE: &str = "INSERT INTO promotion.deal";

async fn pool(servers: &kit::config::Servers) -> PgPool {
    kit::postgres::connect(servers, promotion::SERVICE).await.unwrap()
}

/// Stock in force, version, and the newest one that was decided on.
async fn row(pool: &PgPool, deal_id: &str) -> (i64, i64, i64) {
    let row = sqlx::query_as("SELECT stock, version, applied FROM promotion.deal WHERE deal_id = $1");
    row.bind(deal_id).fetch_one(pool).await.unwrap()
}

/// Writes a deal down as a process of before does.
async fn create(pool: &PgPool, wish: &Wish) {
    let tag = bus::journal::Tag::of(wish.deal_id.as_str()).to_sql();
    let made = sqlx::query(statement(CREATE)).bind(wish.deal_id.as_str()).bind(tag).bind(&wish.terms.venue_id);
    let made = made.bind(&wish.title).bind(wish.stock).bind(wish.opens_at).bind(wish.closes_at);
    made.bind(Json(&wish.terms.prize)).bind(wish.pass_required).execute(pool).await.unwrap();
}

/// What a process of before does with an order that it finds: it knows of the stock alone.
async fn finish(pair: &Pair, pool: &PgPool) {
    let order = "SELECT version, wanted_stock FROM promotion.deal WHERE deal_id = $1";
    let id = &pair.wish.deal_id;
    let (version, wanted): (i64, i64) = sqlx::query_as(order).bind(id.as_str()).fetch_one(pool).await.unwrap();
    pair.before.arm(id).await;
    let (stock, _) = pair.before.update(id, version, wanted).await;
    sqlx::query(statement(APPLIED)).bind(id.as_str()).bind(version).bind(stock).execute(pool).await.unwrap();
}

#[tokio::test]
async fn every_statement_of_before_is_understood() {
    let pair = Pair::new("previous-sql", 1).await;
    let pool = pool(&pair.shelf.ground.servers()).await;
    let mut connection = pool.acquire().await.unwrap();
    let statements = statements();
    assert!(statements.len() > 30, "{} statements", statements.len());
    for (number, statement) in statements.into_iter().enumerate() {
        let prepare = format!("PREPARE statement_{number} AS {statement}");
        let prepared = sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await;
        assert!(prepared.is_ok(), "{statement}: {prepared:?}");
    }
    drop(connection);
    pool.close().await;
    pair.end().await;
}

#[tokio::test]
async fn what_one_of_before_has_written_down_is_finished() {
    let mut service = Service::start("previous-wish").await;
    let pool = pool(&service.ground.servers()).await;
    // A deal that one of before began and did not come to put into Redis.
    let begun = wish(3);
    create(&pool, &begun).await;
    service.deal("lunch", 5).await;
    let deadline = Instant::now() + FINISHED;
    for (wanted, in_force) in [(9, 9), (2, 9)] {
        let ordered = sqlx::query(statement(WISH)).bind("lunch").bind(wanted);
        ordered.execute(&pool).await.unwrap();
        loop {
            let (stock, version, applied) = row(&pool, "lunch").await;
            if version == applied {
                assert_eq!(stock, in_force);
                break;
            }
            assert!(Instant::now() < deadline, "nobody finishes what was begun");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(service.get("lunch").await.unwrap().stock, in_force);
    }
    let begun_id = begun.deal_id.to_string();
    while service.get(&begun_id).await.unwrap().state() != pb::DealState::Open {
        assert!(Instant::now() < deadline, "nobody finishes the deal that was begun");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(service.claim(&begun_id, "ann").await.unwrap().coupon.unwrap().rank, 1);
    // What is ordered now comes after it.
    let wanted = pb::Deal { title: "Dinner".to_owned(), closes_at: Some(later(60)), ..deal("lunch", 12) };
    let changed = service.change(wanted, &["title", "stock", "closes_at"]).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.stock), ("Dinner", 12));
    pool.close().await;
    service.end().await;
}

#[tokio::test]
async fn what_one_of_today_has_written_down_is_finished_by_one_of_before() {
    let pair = Pair::new("previous-finish", 5).await;
    let (id, servers) = (&pair.wish.deal_id, pair.shelf.ground.servers());
    let pool = pool(&servers).await;
    rows::create(&pool, &pair.wish, bus::journal::Tag::of(id.as_str()).to_sql(), None).await.unwrap();
    pair.before.put_again(&pair.wish).await;
    sqlx::query(statement(ARMED)).bind(id.as_str()).execute(&pool).await.unwrap();
    finish(&pair, &pool).await;
    assert_eq!(pair.seen().await, (5, 0, 0, 1));

    let Wished::Yes(ordered) = order::wish(&pool, id, &stock(8)).await.unwrap() else { panic!("it is written down") };
    finish(&pair, &pool).await;
    assert_eq!(row(&pool, id.as_str()).await, (8, 2, 2));
    assert_eq!(pair.seen().await, (8, 0, 0, 2));
    // Whoever gave the order asks for the decision too: nothing of it is done twice.
    let (_, in_force) = pair.update(ordered.version, &ordered.wanted).await;
    assert_eq!((in_force, pair.seen().await), (8, (8, 0, 0, 2)));

    // One that changes more than the stock keeps the stock as it is, and can be given again.
    let close = Patch { close: true, ..Patch::default() };
    let Wished::Yes(_) = order::wish(&pool, id, &close).await.unwrap() else { panic!("it is written down") };
    finish(&pair, &pool).await;
    assert_eq!((row(&pool, id.as_str()).await, pair.seen().await), ((8, 3, 3), (8, 0, 0, 2)));
    let Wished::Yes(again) = order::wish(&pool, id, &close).await.unwrap() else { panic!("it is written down") };
    assert_eq!(pair.update(again.version, &again.wanted).await, (Decision::Done, 8));
    assert!(found(pair.shelf.deals.look(id).await.unwrap()).closed);
    pool.close().await;
    pair.end().await;
}

/// Deals as they were sold by both, in PostgreSQL: the consumer of today takes what either has written into the journal.
#[tokio::test]
async fn what_the_functions_of_before_have_written_arrives() {
    let mut service = Service::start("previous-road").await;
    service.deal("lunch", 4).await;
    let before = super::Before::connect(&service.ground.servers()).await;
    let id = promotion::deal::DealId::parse("lunch").unwrap();
    before.claim(&id, &["u1", "u2"]).await;
    service.claim("lunch", "u3").await.unwrap();
    assert_eq!(before.give_back(&id, "u1", 1).await, "OK");
    service.redeem("lunch-2", "u2", "o1").await.unwrap();
    service.restore("lunch-2", "o1").await.unwrap();
    service.give_back("lunch-2", "u2").await.unwrap();
    before.claim(&id, &["u4", "u5", "u6"]).await;
    let deadline = Instant::now() + FINISHED;
    loop {
        let listed = service.arrived("lunch", 5).await;
        let returned: Vec<i64> =
            listed.iter().filter(|c| c.state() == pb::CouponState::Returned).map(|c| c.rank).collect();
        if returned == [2, 1] {
            break;
        }
        assert!(Instant::now() < deadline, "{returned:?} were given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(service.claim("lunch", "u1").await.unwrap_err().code(), tonic::Code::FailedPrecondition);
    let report = promotion::audit::run(&service.ground.servers(), None).await.unwrap();
    assert_eq!((report.violations, report.coupons), (Vec::<String>::new(), 6));
    service.end().await;
}
