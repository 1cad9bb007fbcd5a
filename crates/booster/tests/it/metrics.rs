//! What a process that runs tells whoever scrapes it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use proto::order::v1::OrderState;

use crate::booster::{promotions, run, told};
use crate::whole::Whole;

/// How long a number may take to be there: deals are counted every fifteen seconds.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_claim_and_a_refusal_are_seen_by_whoever_scrapes() {
    let (ground, processes) = promotions("metrics", 1).await;
    let (url, admin) = (processes[0].grpc_url(), processes[0].admin_addr());
    told(None, &["deal", "create", "lunch", "--stock", "1", "--percent", "20", "--addr", &url]).await;
    told(None, &["deal", "claim", "lunch", "ann", "--addr", &url]).await;
    assert_eq!(run(None, &["deal", "claim", "lunch", "bob", "--addr", &url]).await.status.code(), Some(1));
    let opens = "2099-01-31T10:00:00Z";
    let later = ["deal", "create", "later", "--stock", "1", "--percent", "20", "--opens-at", opens, "--addr", &url];
    told(None, &later).await;

    for line in [
        r#"booster_refusals_total{domain="promotion.booster",reason="SOLD_OUT"} 1"#,
        r#"booster_rpc_requests_total{method="booster.promotion.v1.PromotionService/ClaimCoupon",code="OK"} 1"#,
        r#"booster_claim_batch_size_bucket{le="1"} "#,
        r#"booster_winners_deals 1"#,
        r#"booster_winners_age_seconds 0"#,
        r#"booster_relay_active{service="promotion"} 1"#,
        r#"booster_relay_lag_seconds{service="promotion"} 0"#,
        r#"booster_consumer_lag_seconds{service="promotion"} 0"#,
        r#"booster_journal_entries{service="promotion",tag="49"} 1"#,
        r#"booster_relayed_events_total{service="promotion"} 1"#,
        r#"booster_consumed_events_total{consumer="promotion",outcome="first"} 1"#,
        r#"booster_deals{state="SOLD_OUT"} 1"#,
        r#"booster_deals{state="SCHEDULED"} 1"#,
        r#"booster_deals{state="FROZEN"} 0"#,
    ] {
        wait_for(admin, line).await;
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_seen_by_whoever_scrapes() {
    let whole = Whole::start("metrics-order").await;
    whole.stock().await;
    whole.ordered("ann", "sandbox", OrderState::Paid).await;
    for line in [
        r#"booster_errands_total{kind="DO",outcome="done"} 1"#,
        r#"booster_outbox_slots{service="promotion"} 16"#,
        r#"booster_outbox_slots{service="order"} 16"#,
        r#"booster_outbox_slots{service="point"} 16"#,
        r#"booster_outbox_slots{service="payment"} 16"#,
        r#"booster_outbox_unsent_rows{service="promotion"} 0"#,
        r#"booster_relay_active{service="promotion"} 1"#,
        r#"booster_consumed_events_total{consumer="promotion.orders",outcome="first"} "#,
        r#"booster_consumed_events_total{consumer="order",outcome="first"} "#,
        r#"booster_consumed_events_total{consumer="ranking",outcome="first"} 1"#,
        r#"booster_orders_placed_total 1"#,
        r#"booster_condition_met{condition="payment"} 1"#,
    ] {
        wait_for(whole.process.admin_addr(), line).await;
    }
    whole.end().await;
}

/// Scrapes until a line begins so.
async fn wait_for(admin: SocketAddr, line: &str) {
    let begun = Instant::now();
    loop {
        let said = scrape(admin).await;
        if said.lines().any(|said| said.starts_with(line)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{line} is not there:\n{said}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn scrape(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
