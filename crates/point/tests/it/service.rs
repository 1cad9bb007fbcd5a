//! The service under test, in this process, and how a client sees it.

use std::time::{Duration, SystemTime};

use clap::Parser as _;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};
use proto::point::v1 as pb;
use proto::point::v1::point_service_client::PointServiceClient;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;
use trial::ground::Ground;

use crate::orders::Orders;

/// How long whatever must happen in the end may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// The service, running, and orders that ask it for points.
pub struct Service {
    pub ground: Ground,
    pub client: PointServiceClient<Channel>,
    pub orders: Orders,
    running: Running,
}

/// A process.
pub struct Running {
    pub process: Process,
    ended: Option<JoinHandle<std::process::ExitCode>>,
}

impl Service {
    /// Starts it in a place of its own.
    pub async fn start(name: &str) -> Self {
        Self::start_on(Ground::new(name).await).await
    }

    /// Starts it in a place that is there.
    pub async fn start_on(ground: Ground) -> Self {
        let servers = servers(&ground);
        for service in ["order", point::SERVICE] {
            bus::topic::make(&servers, service).await.unwrap();
        }
        let mut running = Running::prepare().await;
        let orders = Orders::start(&servers, &running.process).await;
        let client = running.serve(&servers).await;
        Self { ground, client, orders, running }
    }

    /// One more process of it in the same place.
    pub async fn beside(&self) -> (PointServiceClient<Channel>, Running) {
        let mut running = Running::prepare().await;
        (running.serve(&servers(&self.ground)).await, running)
    }

    /// Drains it, and clears its place away.
    pub async fn end(self) {
        self.stop().await.end().await;
    }

    /// Drains it, and leaves its place as it is.
    pub async fn stop(self) -> Ground {
        drop((self.client, self.orders));
        self.running.stop().await;
        self.ground
    }

    /// Where it answers gRPC.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.process.grpc_addr())
    }

    pub async fn earn(&mut self, user_id: &str, amount: i64) -> pb::Entry {
        self.try_earn(earn(user_id, amount)).await.unwrap()
    }

    pub async fn try_earn(&mut self, asked: pb::EarnPointsRequest) -> Result<pb::Entry, Status> {
        Ok(self.client.earn_points(asked).await?.into_inner().entry.unwrap())
    }

    pub async fn deduct(&mut self, user_id: &str, amount: i64, order_id: &str) -> Result<pb::Entry, Status> {
        let asked = deduct(user_id, amount, order_id);
        Ok(self.client.deduct_points(asked).await?.into_inner().entry.unwrap())
    }

    pub async fn refund(&mut self, order_id: &str) -> Result<Option<pb::Entry>, Status> {
        let asked = pb::RefundPointsRequest { order_id: order_id.to_owned(), request_id: fresh() };
        Ok(self.client.refund_points(asked).await?.into_inner().entry)
    }

    pub async fn balance(&mut self, user_id: &str) -> pb::Balance {
        let asked = pb::GetBalanceRequest { user_id: user_id.to_owned(), at: None };
        self.client.get_balance(asked).await.unwrap().into_inner()
    }

    pub async fn available(&mut self, user_id: &str) -> i64 {
        self.balance(user_id).await.available
    }

    /// Kinds and amounts of a user's entries, the oldest first.
    pub async fn story(&mut self, user_id: &str) -> Vec<(pb::EntryKind, i64)> {
        let asked = pb::ListEntriesRequest { user_id: user_id.to_owned(), page_size: 1_000, page_token: String::new() };
        let listed = self.client.list_entries(asked).await.unwrap().into_inner().entries;
        listed.iter().rev().map(|entry| (entry.kind(), entry.amount)).collect()
    }

    /// Insists that the audit finds nothing wrong.
    pub async fn assert_clean(&self) {
        let report = point::audit::run(&self.ground.servers()).await.unwrap();
        assert_eq!((report.violations, report.sum), (Vec::<String>::new(), 0));
    }

    /// Insists that the audit finds nothing wrong, and clears everything away.
    pub async fn end_clean(self) {
        self.assert_clean().await;
        self.end().await;
    }
}

impl Running {
    /// A process that accepts nothing yet.
    pub async fn prepare() -> Self {
        let any = "127.0.0.1:0";
        let flags = ["test", "--grpc-addr", any, "--admin-addr", any, "--log-filter", "warn"];
        let process = Process::start(&Flags::parse_from(flags).process, proto::DESCRIPTORS).await.unwrap();
        Self { process, ended: None }
    }

    /// Lets it be the service.
    async fn serve(&mut self, servers: &Servers) -> PointServiceClient<Channel> {
        point::run(servers, &self.process).await.unwrap();
        self.accept();
        PointServiceClient::connect(format!("http://{}", self.process.grpc_addr())).await.unwrap()
    }

    /// From now on it accepts.
    pub fn accept(&mut self) {
        self.ended = Some(run(self.process.clone()));
    }

    pub async fn stop(self) {
        self.process.stop();
        self.ended.unwrap().await.unwrap();
    }
}

/// The servers, with a few connections to each pool: to open one takes long in a build for tests, and many tests share one PostgreSQL.
pub fn servers(ground: &Ground) -> Servers {
    Servers { postgres_connections: 6, ..ground.servers() }
}

/// A connection that may do everything.
pub async fn admin(ground: &Ground) -> PgConnection {
    PgConnection::connect(ground.admin_url().expose()).await.unwrap()
}

/// A number that PostgreSQL tells.
pub async fn number(ground: &Ground, statement: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut admin(ground).await).await.unwrap()
}

/// Waits until something holds; panics where it does not within [`PATIENCE`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A key that nobody has used.
pub fn fresh() -> String {
    kit::id::fresh().to_string()
}

pub fn earn(user_id: &str, amount: i64) -> pb::EarnPointsRequest {
    pb::EarnPointsRequest {
        user_id: user_id.to_owned(),
        amount,
        request_id: fresh(),
        ..pb::EarnPointsRequest::default()
    }
}

pub fn deduct(user_id: &str, amount: i64, order_id: &str) -> pb::DeductPointsRequest {
    let (user_id, order_id) = (user_id.to_owned(), order_id.to_owned());
    pb::DeductPointsRequest { user_id, amount, order_id, request_id: fresh() }
}

/// So many milliseconds from now.
pub fn later(ms: u64) -> prost_types::Timestamp {
    (SystemTime::now() + Duration::from_millis(ms)).into()
}

/// The reason of a refusal.
pub fn reason<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    let details = reply.expect_err("it was refused").get_error_details();
    let info = details.error_info().expect("it has a reason").clone();
    assert_eq!(info.domain, "point.booster");
    info.reason
}

/// The field that a refusal names.
pub fn field<T: std::fmt::Debug>(reply: Result<T, Status>) -> String {
    let details = reply.expect_err("it was refused").get_error_details();
    assert_eq!(details.error_info().expect("it has a reason").reason, "INVALID_FIELD");
    details.bad_request().expect("it names a field").field_violations[0].field.clone()
}

#[expect(clippy::disallowed_methods, reason = "the test outlives the process that it drains")]
fn run(process: Process) -> JoinHandle<std::process::ExitCode> {
    tokio::spawn(process.run_to_end())
}
