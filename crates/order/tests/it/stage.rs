//! The service under test among its participants, and how a client sees it.

use std::time::Duration;

use kit::boot::Process;
use order::Config;
use proto::order::v1 as pb;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::r#type::v1::{Money, StepKind};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;
use trial::ground::Ground;

use crate::participants::Participants;
use crate::running::Running;

/// How long an order may take to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to what may be asked again, however often a busy machine makes the service say that it cannot tell now.
pub async fn insist<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if status.code() == Code::Unavailable && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(status) => return Err(status),
        }
    }
}

/// Asks a client so.
macro_rules! ask {
    ($stage:expr, $method:ident, $asked:expr) => {
        insist(|| {
            let (mut client, asked) = ($stage.client.clone(), $asked.clone());
            async move { client.$method(asked).await }
        })
        .await
    };
}

/// The service, its participants, and a client.
pub struct Stage {
    pub ground: Ground,
    pub participants: Participants,
    pub client: OrderServiceClient<Channel>,
    pub config: Config,
    around: Running,
    order: Option<Running>,
}

impl Stage {
    /// Participants are waited for longer than any test takes.
    pub async fn start(name: &str) -> Self {
        Self::patient(name, Duration::from_secs(600), Duration::from_secs(600)).await
    }

    /// They are asked again after `again`, and given up after `deadline`.
    pub async fn patient(name: &str, deadline: Duration, again: Duration) -> Self {
        let ground = Ground::new(name).await;
        bus::topic::make(&ground.servers(), order::SERVICE).await.unwrap();
        Participants::prepare(&ground.servers(), &ground.admin_url()).await;
        let servers = ground.servers();
        let work = move |process: Process| -> futures::future::BoxFuture<'static, Participants> {
            Box::pin(async move { Participants::start(&process, &servers).await })
        };
        let (around, participants) = Running::start(work).await;
        let config = Config { step_deadline: deadline, ask_again: again, holds: true };
        let order = Running::order(&ground.servers(), &config).await;
        let client = order.client().await;
        Self { ground, participants, client, config, around, order: Some(order) }
    }

    /// The service dies where it stands, and another one takes its place.
    pub async fn die(&mut self) {
        self.order.take().unwrap().die();
        let order = Running::order(&self.ground.servers(), &self.config).await;
        self.client = order.client().await;
        self.order = Some(order);
    }

    /// Drains it, and clears its place away. The audit has the last word.
    pub async fn end(mut self) {
        let report = order::audit::run(&self.ground.servers()).await.unwrap();
        assert_eq!(report.violations, Vec::<String>::new());
        drop(self.client);
        self.order.take().unwrap().stop().await;
        self.around.die();
        self.ground.end().await;
    }

    pub async fn put(&mut self, item_id: &str, price: i64, stock: i64) -> pb::Item {
        let asked = pb::PutItemRequest { item: Some(item(item_id, price, stock)) };
        ask!(self, put_item, asked).unwrap()
    }

    pub async fn item(&mut self, item_id: &str) -> pb::Item {
        let asked = pb::GetItemRequest { item_id: item_id.to_owned() };
        ask!(self, get_item, asked).unwrap()
    }

    pub async fn place(&mut self, asked: pb::PlaceOrderRequest) -> Result<pb::Order, Status> {
        ask!(self, place_order, asked)
    }

    pub async fn get(&mut self, order_id: &str) -> pb::Order {
        let asked = pb::GetOrderRequest { order_id: order_id.to_owned() };
        ask!(self, get_order, asked).unwrap()
    }

    pub async fn cancel(&mut self, order_id: &str) -> Result<pb::Order, Status> {
        let asked = pb::CancelOrderRequest { order_id: order_id.to_owned() };
        ask!(self, cancel_order, asked)
    }

    pub async fn adjust(&mut self, item_id: &str, delta: i64, request_id: &str) -> Result<pb::Item, Status> {
        let (item_id, request_id) = (item_id.to_owned(), request_id.to_owned());
        let asked = pb::AdjustStockRequest { item_id, delta, request_id };
        ask!(self, adjust_stock, asked)
    }

    pub async fn advance(&mut self, order_id: &str, to: pb::OrderState) -> Result<pb::Order, Status> {
        let asked = pb::AdvanceOrderRequest { order_id: order_id.to_owned(), state: to.into() };
        ask!(self, advance_order, asked)
    }

    /// Its steps, in short.
    pub async fn steps(&mut self, order_id: &str) -> Vec<(pb::SagaStep, StepKind, pb::StepState)> {
        let asked = pb::ListOrderStepsRequest { order_id: order_id.to_owned() };
        let steps = ask!(self, list_order_steps, asked).unwrap().steps;
        steps.iter().map(|step| (step.step(), step.kind(), step.state())).collect()
    }

    /// The order once it is in this state.
    pub async fn until(&mut self, order_id: &str, state: pb::OrderState) -> pb::Order {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let order = self.get(order_id).await;
            if order.state() == state {
                return order;
            }
            assert!(tokio::time::Instant::now() < deadline, "it is not {state:?}: {order:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until something is so.
    pub async fn so(&mut self, what: &str, mut is_so: impl AsyncFnMut(&mut Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self).await {
            assert!(tokio::time::Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

pub fn item(item_id: &str, price: i64, stock: i64) -> pb::Item {
    let (item_id, venue_id, name) = (item_id.to_owned(), "venue".to_owned(), item_id.to_uppercase());
    pb::Item { item_id, venue_id, name, price: Some(won(price)), stock, sold: 0 }
}

pub fn won(minor_units: i64) -> Money {
    Money { currency: "KRW".to_owned(), minor_units }
}

/// An order of so many of one item, with everything.
pub fn whole(user_id: &str, item_id: &str, quantity: i64, price: i64) -> pb::PlaceOrderRequest {
    let (coupon_id, hold_id) = ("lunch-1".to_owned(), "table-1".to_owned());
    pb::PlaceOrderRequest { coupon_id, hold_id, points_to_use: 100, ..plain(user_id, item_id, quantity, price) }
}

/// An order of so many of one item, to be paid with money alone.
pub fn plain(user_id: &str, item_id: &str, quantity: i64, price: i64) -> pb::PlaceOrderRequest {
    let expected_unit_price = Some(won(price));
    pb::PlaceOrderRequest {
        user_id: user_id.to_owned(),
        lines: vec![pb::NewOrderLine { item_id: item_id.to_owned(), quantity, expected_unit_price }],
        payment_method: "sandbox".to_owned(),
        request_id: format!("{user_id}-{item_id}"),
        ..pb::PlaceOrderRequest::default()
    }
}

/// The reason of a refusal.
pub fn reason<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    reply.expect_err("it was refused").get_error_details().error_info().expect("it has a reason").reason.clone()
}

/// The field that a refusal names.
pub fn field<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    let details = reply.expect_err("it was refused").get_error_details();
    assert_eq!(details.error_info().expect("it has a reason").reason, "INVALID_FIELD");
    details.bad_request().expect("it names a field").field_violations[0].field.clone()
}
