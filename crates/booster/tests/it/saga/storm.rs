//! Orders go through while consumers come and go, PostgreSQL refuses what it could have taken, and poison lies on the topics.

use std::time::Duration;

use sqlx::Connection as _;
use tokio::time::sleep;
use trial::process::Program;
use trial::topic::Topic;

use super::case::{self, Case, DEAL, ITEM, PRICE};
use super::house::House;
use crate::booster::{PATH, is_full, told};

/// Cases of three orders each that are on their way at once.
const CASES: usize = 12;

/// Plays cases while something happens, and checks each of them.
async fn play(house: &mut House, name: &str, meanwhile: impl Future<Output = ()>) {
    let mut cases = Vec::new();
    for number in 0..CASES {
        cases.push(Case::prepare(&mut house.doors, &format!("{name}-{number}")).await);
    }
    let doors = house.doors.clone();
    let plays = futures::future::join_all(cases.iter().map(|case| case.play(&doors)));
    let (ended, ()) = tokio::join!(plays, meanwhile);
    for ended in ended {
        case::check(house, &ended).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_come_and_go_do_every_step_once() {
    let mut house = House::start("storm-rebalance", None).await;
    house.doors.stock(ITEM, PRICE, 1_000, DEAL).await;
    let env = house.ground.env();
    let url = house.provider.url().to_owned();
    let turns = if is_full() { 30 } else { 4 };
    let rebalance = async {
        for turn in 0..turns {
            let service = ["order", "payment", "point", "promotion"][turn % 4];
            let env = env.clone().into_iter().chain([("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), url.clone())]);
            let mut other = Program::new("storm-other", PATH).args([service]).envs(env).start().await;
            sleep(Duration::from_secs(2)).await;
            if turn % 2 == 0 {
                other.kill9().await;
            } else {
                other.stop().await;
            }
        }
    };
    play(&mut house, "rebalance", rebalance).await;
    house.end().await;
}

/// What PostgreSQL is told to refuse, one time in so many: as if two transactions had waited for each other.
const REFUSALS: [(&str, &str); 4] =
    [("order", "orders"), ("point", "account"), ("payment", "payment"), ("promotion", "errand")];

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_refuses_for_the_moment_is_tried_again() {
    let mut house = House::start("storm-refused", None).await;
    house.doors.stock(ITEM, PRICE, 1_000, DEAL).await;
    let mut admin = sqlx::PgConnection::connect(house.ground.admin_url().expose()).await.unwrap();
    for (schema, table) in REFUSALS {
        let refuse = format!(
            "CREATE FUNCTION \"{schema}\".refuse_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF random() < 0.3 THEN RAISE EXCEPTION 'a test' USING ERRCODE = 'deadlock_detected'; END IF;
               RETURN NULL; END $$;
             CREATE TRIGGER refuse_now AFTER INSERT OR UPDATE ON \"{schema}\".{table}
               FOR EACH STATEMENT EXECUTE FUNCTION \"{schema}\".refuse_now()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(&mut admin).await.unwrap();
    }
    play(&mut house, "refused", async {}).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_on_the_topics_is_parked_and_orders_go_on() {
    let mut house = House::start("storm-poison", None).await;
    house.doors.stock(ITEM, PRICE, 1_000, DEAL).await;
    let servers = house.ground.servers();
    let poison = [
        ("order", "booster.order.v1.CouponRequested"),
        ("order", "booster.order.v1.PointsRequested"),
        ("order", "booster.order.v1.PaymentRequested"),
        ("order", "booster.order.v1.OrderPaid"),
        ("promotion", "booster.promotion.v1.CouponStepAnswered"),
        ("point", "booster.point.v1.PointsStepAnswered"),
        ("payment", "booster.payment.v1.PaymentStepAnswered"),
    ];
    let put = async {
        for (nth, (service, kind)) in poison.into_iter().enumerate() {
            let name = servers.prefixed(&bus::topic::name(service));
            let topic = Topic { brokers: servers.kafka_brokers.clone(), name, group: String::new() };
            tokio::task::spawn_blocking(move || {
                let now = humantime::format_rfc3339(std::time::SystemTime::now()).to_string();
                let (id, subject) = (format!("poison-{nth}"), format!("nobody-{nth}"));
                let headers = [
                    ("ce_id", id.as_str()),
                    ("ce_type", kind),
                    ("ce_source", "a test"),
                    ("ce_subject", subject.as_str()),
                    ("ce_time", now.as_str()),
                    ("ce_sequence", "1"),
                    ("ce_partitionkey", subject.as_str()),
                ];
                topic.put(&headers, "this is no message").unwrap();
            })
            .await
            .unwrap();
        }
    };
    play(&mut house, "poison", put).await;
    let mut parked = 0;
    for service in ["order", "promotion", "point", "payment", "ranking"] {
        let addr = house.children[service].grpc_url();
        let listed = told(Some(&house.ground), &["dlq", "--addr", &addr, "list"]).await;
        for id in listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            parked += 1;
            let why = ["--why", "a test", "--operator", "ann"];
            told(Some(&house.ground), &[&["dlq", "--addr", &addr, "discard", id], &why[..]].concat()).await;
        }
    }
    assert_eq!(parked, poison.len());
    house.end().await;
}
