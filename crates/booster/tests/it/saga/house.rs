//! All services, the provider, and how a client sees them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use proto::order::v1 as orders;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::payment::v1 as payments;
use proto::payment::v1::payment_service_client::PaymentServiceClient;
use proto::point::v1 as points;
use proto::point::v1::point_service_client::PointServiceClient;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use proto::r#type::v1::Money;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use trial::chaos::tripwire::Tripwire;
use trial::ground::Ground;
use trial::process::{Child, Program};
use trial::provider::Provider;

use crate::booster::{PATH, run, told};

/// Every service, in the order in which they are started.
pub const SERVICES: [&str; 5] = ["promotion", "point", "payment", "ranking", "order"];
/// How long the order that is asked for may take to be answered, and to its end.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How soon a participant is asked again in these tests: whoever was killed is up by then.
const ASK_AGAIN: &str = "3s";
/// Where the service's own address of PostgreSQL is told.
const POSTGRES_URL: &str = "BOOSTER_POSTGRES_URL";

/// The answer of a client, however often he has to be asked.
macro_rules! ask {
    ($client:expr, $method:ident, $asked:expr) => {
        insist(|| {
            let (mut client, asked) = ($client.clone(), $asked.clone());
            async move { client.$method(asked).await }
        })
        .await
        .unwrap()
    };
}

/// All services, each a process of its own.
pub struct House {
    pub ground: Ground,
    pub provider: Provider,
    pub children: HashMap<&'static str, Child>,
    pub doors: Doors,
    /// In front of the PostgreSQL of one service.
    pub wire: Option<Tripwire>,
}

/// How clients see them. A cheap handle.
#[derive(Clone)]
pub struct Doors {
    pub promotion: PromotionServiceClient<Channel>,
    pub point: PointServiceClient<Channel>,
    pub payment: PaymentServiceClient<Channel>,
    pub order: OrderServiceClient<Channel>,
}

impl House {
    /// Starts everything; one of the services may reach PostgreSQL through a wire.
    pub async fn start(name: &str, wired: Option<&str>) -> Self {
        let ground = Ground::new(name).await;
        told(Some(&ground), &["migrate"]).await;
        let provider = Provider::try_start(name, PATH.as_ref()).await.unwrap();
        let (mut children, mut wire) = (HashMap::new(), None);
        for service in SERVICES {
            let mut env = ground.env();
            env.push(("BOOSTER_PAYMENT_PROVIDER_URL".to_owned(), provider.url().to_owned()));
            env.push(("BOOSTER_ORDER_ASK_AGAIN".to_owned(), ASK_AGAIN.to_owned()));
            if wired == Some(service) {
                let url = ground.servers().postgres_url.expose().to_owned();
                let (tripwire, through) = Tripwire::in_front_of(&url).await;
                env.push((POSTGRES_URL.to_owned(), through));
                wire = Some(tripwire);
            }
            let program = Program::new(&format!("{name}-{service}"), PATH).args([service]).envs(env);
            children.insert(service, program.start().await);
        }
        let door = |service| Endpoint::from_shared(children[service].grpc_url()).unwrap().connect_lazy();
        let doors = Doors {
            promotion: PromotionServiceClient::new(door("promotion")),
            point: PointServiceClient::new(door("point")),
            payment: PaymentServiceClient::new(door("payment")),
            order: OrderServiceClient::new(door("order")),
        };
        Self { ground, provider, children, doors, wire }
    }

    /// The audit of everything, the provider's log included, has the last word. Whoever was killed a moment ago gets his part of the topic
    /// back only once Kafka has noticed: the audit, which does not wait for that, may be asked again.
    pub async fn audit(&self) {
        let log = self.provider.log().to_str().unwrap();
        let begun = Instant::now();
        loop {
            let output = run(Some(&self.ground), &["audit", "--provider-log", log]).await;
            if output.status.success() {
                return;
            }
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{said}{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Audits, and clears everything away.
    pub async fn end(self) {
        self.audit().await;
        drop(self.doors);
        drop(self.children);
        drop(self.provider);
        self.ground.end().await;
    }
}

impl Doors {
    /// An item, and a deal of ten per cent.
    pub async fn stock(&mut self, item_id: &str, price: i64, stock: i64, deal_id: &str) {
        let item = orders::Item {
            item_id: item_id.to_owned(),
            venue_id: "venue".to_owned(),
            name: item_id.to_owned(),
            price: Some(won(price)),
            stock,
            sold: 0,
        };
        let asked = orders::PutItemRequest { item: Some(item) };
        ask!(self.order, put_item, asked);
        let off = Some(pb::discount::Off::Percent(10));
        let prize = pb::Prize { kind: Some(pb::prize::Kind::Discount(pb::Discount { off, ..Default::default() })) };
        let deal = pb::Deal {
            deal_id: deal_id.to_owned(),
            title: "Ten off".to_owned(),
            venue_id: "venue".to_owned(),
            stock: 10_000,
            closes_at: Some((SystemTime::now() + Duration::from_secs(3_600)).into()),
            prize: Some(prize),
            ..pb::Deal::default()
        };
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: deal_id.to_owned() };
        ask!(self.promotion, create_deal, asked);
    }

    /// A coupon of the deal, and so many points.
    pub async fn equip(&mut self, user_id: &str, deal_id: &str, amount: i64) -> String {
        let asked =
            pb::ClaimCouponRequest { deal_id: deal_id.to_owned(), user_id: user_id.to_owned(), pass: String::new() };
        let coupon = ask!(self.promotion, claim_coupon, asked).coupon.unwrap();
        let asked = points::EarnPointsRequest {
            user_id: user_id.to_owned(),
            amount,
            reason: "a test".to_owned(),
            request_id: format!("earn-{user_id}"),
            expires_at: None,
        };
        ask!(self.point, earn_points, asked);
        coupon.coupon_id
    }

    pub async fn item(&mut self, item_id: &str) -> orders::Item {
        let asked = orders::GetItemRequest { item_id: item_id.to_owned() };
        ask!(self.order, get_item, asked)
    }

    pub async fn coupon(&mut self, coupon_id: &str) -> pb::Coupon {
        let asked = pb::GetCouponRequest { coupon_id: coupon_id.to_owned() };
        ask!(self.promotion, get_coupon, asked)
    }

    pub async fn balance(&mut self, user_id: &str) -> i64 {
        let asked = points::GetBalanceRequest { user_id: user_id.to_owned(), at: None };
        ask!(self.point, get_balance, asked).available
    }

    pub async fn payment(&mut self, order_id: &str) -> payments::Payment {
        let by = Some(payments::get_payment_request::By::OrderId(order_id.to_owned()));
        let asked = payments::GetPaymentRequest { by };
        ask!(self.payment, get_payment, asked)
    }
}

/// How often it is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Asks until the answer is definite.
pub async fn insist<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let begun = Instant::now();
    loop {
        let told = tokio::time::timeout(Duration::from_secs(5), ask()).await;
        let status = match told.unwrap_or_else(|_| Err(Status::deadline_exceeded("nobody answers"))) {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        let is_open =
            matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled);
        if !is_open {
            return Err(status);
        }
        assert!(begun.elapsed() < PATIENCE, "it is never known: {status:?}");
        sleep(AGAIN).await;
    }
}

/// An amount of won.
pub fn won(minor_units: i64) -> Money {
    Money { currency: "KRW".to_owned(), minor_units }
}
