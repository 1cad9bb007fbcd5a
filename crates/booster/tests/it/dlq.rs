//! An event is stuck: its coupon waits, everything else goes on, and an operator brings it back.

use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use trial::ground::Ground;
use trial::topic::Topic;

use crate::booster::{promotions, run, told};
use crate::crowd::doors;

/// How long what must happen in the end may take.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_brings_back_what_is_stuck() {
    let (ground, processes) = promotions("dlq", 1).await;
    let url = processes[0].grpc_url();
    let dlq = Dlq(url.clone());
    assert_eq!(dlq.ids().await, Vec::<String>::new());
    told(None, &["deal", "create", "lunch", "--stock", "10", "--percent", "20", "--addr", &url]).await;
    for user in ["ann", "bob"] {
        told(None, &["deal", "claim", "lunch", user, "--addr", &url]).await;
    }
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 2 coupons, 0 violations\n"));

    plant(&ground, "lunch-2", "not a coupon").await;
    dlq.until_parked(1).await;
    // The coupon of the poison waits, another one and a new one do not.
    let door = &mut doors(std::slice::from_ref(&url)).await[0];
    for (coupon_id, user_id) in [("lunch-2", "bob"), ("lunch-1", "ann")] {
        let order_id = format!("order-of-{user_id}");
        let (coupon_id, user_id) = (coupon_id.to_owned(), user_id.to_owned());
        door.redeem_coupon(pb::RedeemCouponRequest { coupon_id, user_id, order_id }).await.unwrap();
    }
    told(None, &["deal", "claim", "lunch", "cleo", "--addr", &url]).await;
    until_rows(&ground, "lunch-3 ISSUED, lunch-2 ISSUED, lunch-1 REDEEMED").await;
    dlq.until_parked(2).await;
    let audit = run(Some(&ground), &["audit"]).await;
    let said = String::from_utf8(audit.stdout).unwrap();
    assert!(said.contains("2 events of the consumer promotion are parked, `booster dlq list` shows them"), "{said}");

    let by_cause = dlq.told(&["list", "--by-cause"]).await;
    assert!(by_cause.contains("    1  an earlier event of the same key is parked"), "{by_cause}");
    let [poison, behind] = dlq.ids().await.try_into().unwrap();
    let shown = dlq.told(&["show", &poison]).await;
    for line in
        ["key          lunch-2\n", "state        PARKED\n", "  ce_subject: lunch-2\n", "base64\nbm90IGEgY291cG9u\n"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    dlq.refused(&["show", &poison, "--payload"], "its payload cannot be read as").await;
    mend(&dlq, &poison, &behind).await;

    let dry = dlq.told(&["replay", "--key", "lunch-2", "--dry-run", "--operator", "ann"]).await;
    assert_eq!(dry, format!("{poison}  WOULD\n{behind}  WOULD\n"));
    assert_eq!(dlq.ids().await.len(), 2);
    let done = dlq.told(&["replay", "--all", "--operator", "ann"]).await;
    assert_eq!(done, format!("{poison}  DONE\n{behind}  DONE\n"));
    until_rows(&ground, "lunch-3 ISSUED, lunch-2 REDEEMED, lunch-1 REDEEMED").await;
    let actions = ["EDIT by bob", "REPLAY DONE by ann", "REPLAY DONE by ann"].join(", ");
    let found =
        one(&ground, "SELECT string_agg(action || ' by ' || operator, ', ' ORDER BY id) FROM dead_letter_action");
    assert_eq!(found.await, actions);
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 3 coupons, 0 violations\n"));
    ground.end().await;
}

/// The operator takes the coupon as the event behind it tells it, and undoes what that event tells.
async fn mend(dlq: &Dlq, poison: &str, behind: &str) {
    let payload = dlq.told(&["show", behind, "--payload"]).await;
    let mut redeemed: serde_json::Value = serde_json::from_str(&payload).unwrap();
    redeemed["coupon"]["state"] = "COUPON_STATE_ISSUED".into();
    redeemed["coupon"]["order_id"] = "".into();
    let place = tempfile::tempdir().unwrap();
    let [good, bad] = ["good.json", "bad.json"].map(|name| place.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&good, redeemed.to_string()).unwrap();
    std::fs::write(&bad, r#"{"chair": 7}"#).unwrap();
    let edit = |id, file| ["edit", id, "--file", file, "--why", "it came without a coupon", "--operator", "bob"];
    dlq.refused(&edit(poison, &bad), "INVALID_FIELD: payload_json is not a booster.promotion.v1.CouponClaimed").await;
    dlq.refused(&edit("promotion-999", &good), "DEAD_LETTER_NOT_FOUND: ").await;
    let edited = dlq.told(&edit(poison, &good)).await;
    assert!(edited.contains("\"user_id\": \"bob\""), "{edited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_is_quarantined_and_discarded() {
    let (ground, processes) = promotions("dlq-discard", 1).await;
    let dlq = Dlq(processes[0].grpc_url());
    plant(&ground, "lunch-7", "not a coupon").await;
    let topic = topic(&ground);
    tokio::task::spawn_blocking(move || topic.put(&[], "not an event").unwrap()).await.unwrap();
    dlq.until_parked(2).await;
    let ids = dlq.ids().await;
    let mut keyed = None;
    for id in &ids {
        if dlq.told(&["show", id]).await.contains("key          lunch-7\n") {
            keyed = Some(id.as_str());
        }
    }
    let keyed = keyed.unwrap();
    let unread = ids.iter().find(|id| *id != keyed).unwrap().as_str();
    for _ in 0..3 {
        let tried = dlq.run(&["replay", "--all", "--operator", "ann"]).await;
        let said = String::from_utf8_lossy(&tried.stdout).into_owned();
        assert_eq!(tried.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{keyed}  FAILED   an event cannot be read")), "{said}");
        assert!(said.contains(&format!("{unread}  SKIPPED  it can only be discarded")), "{said}");
    }
    let shown = dlq.told(&["show", keyed]).await;
    assert!(shown.contains("state        QUARANTINED\n") && shown.contains("replays      3 failed"), "{shown}");
    dlq.refused(
        &["edit", unread, "--file", "/dev/null", "--why", "a test", "--operator", "ann"],
        "NOT_REPLAYABLE: it can only be discarded",
    )
    .await;
    let discarded = dlq.told(&["discard", &ids[0], &ids[1], "--why", "a test", "--operator", "ann"]).await;
    assert_eq!(discarded.lines().count(), 2, "{discarded}");
    dlq.refused(&["discard", keyed, "--why", "a test", "--operator", "ann"], "DEAD_LETTER_NOT_FOUND: ").await;
    assert!(told(Some(&ground), &["audit"]).await.ends_with(" 0 violations\n"));
    ground.end().await;
}

/// `booster dlq`, at this address.
struct Dlq(String);

impl Dlq {
    async fn told(&self, args: &[&str]) -> String {
        told(None, &self.all(args)).await
    }

    async fn run(&self, args: &[&str]) -> Output {
        run(None, &self.all(args)).await
    }

    async fn refused(&self, args: &[&str], words: &str) {
        let output = self.run(args).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with(&format!("booster: {words}")), "{args:?}: {said}");
    }

    /// What is parked, in its order.
    async fn ids(&self) -> Vec<String> {
        let listed = self.told(&["list"]).await;
        listed.lines().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    }

    async fn until_parked(&self, number: usize) {
        let begun = Instant::now();
        while self.ids().await.len() < number {
            assert!(begun.elapsed() < SOON, "not {number} are parked");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn all<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["dlq", "--addr", &self.0], args].concat()
    }
}

/// Somebody puts an event there by hand.
async fn plant(ground: &Ground, subject: &str, payload: &str) {
    let (topic, subject, payload) = (topic(ground), subject.to_owned(), payload.to_owned());
    let time = humantime::format_rfc3339(SystemTime::now()).to_string();
    let put = move || {
        let headers = [
            ("ce_id", "0199c0de-0000-7000-8000-000000000000"),
            ("ce_type", "booster.promotion.v1.CouponClaimed"),
            ("ce_source", "promotion"),
            ("ce_subject", &subject),
            ("ce_time", &time),
            ("ce_sequence", "1"),
            ("ce_partitionkey", "49"),
        ];
        topic.put(&headers, &payload).unwrap();
    };
    tokio::task::spawn_blocking(put).await.unwrap();
}

fn topic(ground: &Ground) -> Topic {
    let servers = ground.servers();
    let (name, group) = (servers.prefixed("booster.promotion.v1"), servers.prefixed("promotion"));
    Topic { brokers: servers.kafka_brokers, name, group }
}

/// Waits until the coupons in PostgreSQL, highest rank first, are these.
async fn until_rows(ground: &Ground, expected: &str) {
    let begun = Instant::now();
    let rows =
        "SELECT coalesce(string_agg(deal_id || '-' || rank || ' ' || state, ', ' ORDER BY rank DESC), '') FROM coupon";
    loop {
        let found = one(ground, rows).await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < SOON, "{found}, and not {expected}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What PostgreSQL tells of promotion's tables.
async fn one(ground: &Ground, statement: &'static str) -> String {
    let mut admin = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
    sqlx::raw_sql("SET search_path = promotion").execute(&mut admin).await.unwrap();
    sqlx::query_scalar(statement).fetch_one(&mut admin).await.unwrap()
}
