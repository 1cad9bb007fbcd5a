//! Every service in one process, and the sandbox provider beside it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use proto::order::v1 as orders;
use proto::order::v1::OrderState;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::point::v1 as points;
use proto::point::v1::point_service_client::PointServiceClient;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use proto::r#type::v1::Money;
use sqlx::Connection as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::sleep;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use trial::ground::Ground;
use trial::process::{Child, Program};

use crate::booster::{PATH, told};

/// How long an order may take to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Points that each user has, and uses.
pub const EARNED: i64 = 1_000;
pub const USED: i64 = 300;

/// All of it.
pub struct Whole {
    pub ground: Ground,
    pub process: Child,
    pub promotion: PromotionServiceClient<Channel>,
    pub point: PointServiceClient<Channel>,
    pub order: OrderServiceClient<Channel>,
    /// The provider's log.
    pub log: PathBuf,
    provider: tokio::process::Child,
    _folder: tempfile::TempDir,
}

impl Whole {
    pub async fn start(name: &str) -> Self {
        let ground = Ground::new(name).await;
        told(Some(&ground), &["migrate"]).await;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("provider.jsonl");
        let (provider, url) = provider(&log).await;
        let mut env = ground.env();
        env.push(("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), url));
        let process = Program::new(name, PATH).args(["all"]).envs(env).start().await;
        let channel = Endpoint::from_shared(process.grpc_url()).unwrap().connect_lazy();
        Self {
            ground,
            process,
            promotion: PromotionServiceClient::new(channel.clone()),
            point: PointServiceClient::new(channel.clone()),
            order: OrderServiceClient::new(channel),
            log,
            provider,
            _folder: folder,
        }
    }

    /// An item at 10,000 won, and a deal of ten per cent.
    pub async fn stock(&self) {
        let item = orders::Item {
            item_id: "soup".to_owned(),
            venue_id: "venue".to_owned(),
            name: "Soup".to_owned(),
            price: Some(won(10_000)),
            stock: 1_000,
            sold: 0,
        };
        let asked = orders::PutItemRequest { item: Some(item) };
        insist(async || self.order.clone().put_item(asked.clone()).await).await;
        let off = Some(pb::discount::Off::Percent(10));
        let discount = pb::Discount { off, ..pb::Discount::default() };
        let deal = pb::Deal {
            deal_id: "ten-off".to_owned(),
            title: "Ten off".to_owned(),
            venue_id: "venue".to_owned(),
            stock: 100,
            closes_at: Some((SystemTime::now() + Duration::from_secs(3_600)).into()),
            prize: Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }),
            ..pb::Deal::default()
        };
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: "deal".to_owned() };
        insist(async || self.promotion.clone().create_deal(asked.clone()).await).await;
    }

    /// A coupon and points for a user.
    pub async fn equip(&self, user_id: &str) -> String {
        let asked = points::EarnPointsRequest {
            user_id: user_id.to_owned(),
            amount: EARNED,
            reason: "a test".to_owned(),
            request_id: format!("earn-{user_id}"),
            expires_at: None,
        };
        insist(async || self.point.clone().earn_points(asked.clone()).await).await;
        self.claim(user_id).await
    }

    pub async fn claim(&self, user_id: &str) -> String {
        let (deal_id, user_id, pass) = ("ten-off".to_owned(), user_id.to_owned(), String::new());
        let asked = pb::ClaimCouponRequest { deal_id, user_id, pass };
        let claimed = insist(async || self.promotion.clone().claim_coupon(asked.clone()).await).await;
        claimed.coupon.unwrap().coupon_id
    }

    /// Places an order for one soup with everything; returns its id.
    pub async fn place(&self, user_id: &str, coupon_id: &str, payment_method: &str) -> String {
        let line =
            orders::NewOrderLine { item_id: "soup".to_owned(), quantity: 1, expected_unit_price: Some(won(10_000)) };
        let asked = orders::PlaceOrderRequest {
            user_id: user_id.to_owned(),
            lines: vec![line],
            coupon_id: coupon_id.to_owned(),
            points_to_use: USED,
            payment_method: payment_method.to_owned(),
            request_id: format!("place-{user_id}"),
            ..orders::PlaceOrderRequest::default()
        };
        insist(async || self.order.clone().place_order(asked.clone()).await).await.order_id
    }

    /// An order with everything, once it is in this state; returns its id.
    pub async fn ordered(&self, user_id: &str, payment_method: &str, state: OrderState) -> String {
        let coupon_id = self.equip(user_id).await;
        let order_id = self.place(user_id, &coupon_id, payment_method).await;
        self.until(&order_id, state).await;
        order_id
    }

    /// An order as it stands.
    pub async fn get(&self, order_id: &str) -> orders::Order {
        let asked = orders::GetOrderRequest { order_id: order_id.to_owned() };
        insist(async || self.order.clone().get_order(asked.clone()).await).await
    }

    pub async fn until(&self, order_id: &str, state: OrderState) {
        let begun = Instant::now();
        loop {
            let order = self.get(order_id).await;
            if order.state() == state {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it is not {state:?}: {order:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// From now on nobody answers payment.
    pub async fn end_provider(&mut self) {
        self.provider.kill().await.unwrap();
    }

    /// Runs statements as somebody who may do everything.
    pub async fn sql(&self, statements: &str) {
        let mut admin = sqlx::PgConnection::connect(self.ground.admin_url().expose()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    }

    /// Drains it, and clears its place away.
    pub async fn end(mut self) {
        assert_eq!(self.process.stop().await, Some(0));
        self.ground.end().await;
    }
}

/// The provider, which says where it answers.
async fn provider(log: &std::path::Path) -> (tokio::process::Child, String) {
    let mut command = Command::new(PATH);
    command.args(["provider", "--addr", "127.0.0.1:0", "--log-filter", "off", "--log"]).arg(log);
    let mut provider = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(provider.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().expect("it says where it answers");
    (provider, url)
}

/// Asks again while nothing definite is answered: whatever is asked here may be repeated.
pub async fn insist<T>(ask: impl AsyncFn() -> Result<Response<T>, Status>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer.into_inner(),
            Err(status) if status.code() == Code::Unavailable && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(status) => panic!("{status:?}"),
        }
    }
}

/// An amount of won.
pub fn won(minor_units: i64) -> Money {
    Money { currency: "KRW".to_owned(), minor_units }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_for_all_services() {
    let whole = Whole::start("whole").await;
    let (url, addr) = (whole.process.grpc_url(), whole.process.grpc_addr().to_string());
    for service in ["promotion", "order", "point", "payment", "ranking"] {
        let name = format!("booster.{service}.v1.{}{}Service", service[..1].to_uppercase(), &service[1..]);
        assert_eq!(told(None, &["healthcheck", "--grpc-addr", &addr, "--service", &name]).await, "SERVING\n");
    }
    // Dead letters of two services, and one service that answers for both.
    for service in ["payment", "promotion"] {
        let row = "'payment', 'o1', 't', 0, 0, '{}', '', 'a test', 1";
        let columns = r#"consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts"#;
        whole.sql(&format!("INSERT INTO {service}.parked ({columns}) VALUES ({row})")).await;
    }
    let dlq = async |args: &[&str]| told(None, &[&["dlq"], args, &["--addr", &url]].concat()).await;
    let listed = async || {
        let listed = dlq(&["list"]).await;
        let ids = listed.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["promotion-1", "payment-1"]);
    assert_eq!(dlq(&["list", "--by-cause"]).await.lines().last(), Some("    2  a test"));
    assert!(dlq(&["show", "payment-1"]).await.contains("consumer     payment\n"));
    dlq(&["discard", "payment-1", "--why", "a test", "--operator", "ann"]).await;
    assert_eq!(listed().await, ["promotion-1"]);

    // Whoever reads a topic takes it once more by his own name.
    whole.stock().await;
    whole.ordered("ann", "sandbox", OrderState::Paid).await;
    for (topic, consumer) in [
        ("order", "promotion.orders"),
        ("order", "point"),
        ("order", "payment"),
        ("order", "ranking"),
        ("promotion", "order"),
        ("point", "order"),
        ("payment", "order"),
    ] {
        let topic = format!("booster.{topic}.v1");
        let args = ["replay", "--topic", &topic, "--consumer", consumer, "--from", "beginning", "--to", "now"];
        let said = told(Some(&whole.ground), &args).await;
        assert!(said.contains(": 0 first, ") && !said.contains(", 0 again, "), "{consumer}: {said}");
    }
    whole.end().await;
}
