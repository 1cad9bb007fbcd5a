//! The service under test, in this process, and how a client sees it.

use std::time::{Duration, SystemTime};

use bus::journal::Keys;
use clap::Parser as _;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};
use kit::redis::Redis;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;
use trial::ground::Ground;

/// How long an event may take to its row.
const ARRIVAL: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// The service, running.
pub struct Service {
    pub ground: Ground,
    pub client: PromotionServiceClient<Channel>,
    pub process: Process,
    running: JoinHandle<std::process::ExitCode>,
}

impl Service {
    /// Starts it in a place of its own.
    pub async fn start(name: &str) -> Self {
        let ground = Ground::new(name).await;
        prepare(&ground.servers()).await;
        let flags = Flags::parse_from([
            "test",
            "--grpc-addr",
            "127.0.0.1:0",
            "--admin-addr",
            "127.0.0.1:0",
            "--log-filter",
            "warn",
        ]);
        let process = Process::start(&flags.process, proto::DESCRIPTORS).await.unwrap();
        let repair = promotion::run(&ground.servers(), &process).await.unwrap();
        process.serve(bus::grpc::server(vec![repair]));
        let url = format!("http://{}", process.grpc_addr());
        let running = run(process.clone());
        let client = PromotionServiceClient::connect(url).await.unwrap();
        Self { ground, client, process, running }
    }

    /// Drains it, and clears its place away.
    pub async fn end(self) {
        self.stop().await.end().await;
    }

    /// Drains it, and leaves its place as it is.
    pub async fn stop(self) -> Ground {
        drop(self.client);
        self.process.stop();
        self.running.await.unwrap();
        self.ground
    }

    /// Where it answers gRPC.
    pub fn url(&self) -> String {
        format!("http://{}", self.process.grpc_addr())
    }

    /// Creates a deal that is open, and returns its name.
    pub async fn deal(&mut self, deal_id: &str, stock: i64) -> String {
        self.create(deal(deal_id, stock)).await.unwrap();
        deal_id.to_owned()
    }

    pub async fn create(&mut self, deal: pb::Deal) -> Result<pb::Deal, Status> {
        let asked = pb::CreateDealRequest { deal: Some(deal), request_id: String::new() };
        Ok(self.client.create_deal(asked).await?.into_inner())
    }

    pub async fn change(&mut self, deal: pb::Deal, paths: &[&str]) -> Result<pb::Deal, Status> {
        let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() });
        let asked = pb::UpdateDealRequest { deal: Some(deal), update_mask };
        Ok(self.client.update_deal(asked).await?.into_inner())
    }

    pub async fn close_deal(&mut self, deal_id: &str) -> Result<pb::Deal, Status> {
        Ok(self.client.close_deal(pb::CloseDealRequest { deal_id: deal_id.to_owned() }).await?.into_inner())
    }

    pub async fn get_claim(&mut self, deal_id: &str, user_id: &str) -> Result<pb::Coupon, Status> {
        let asked = pb::GetClaimRequest { deal_id: deal_id.to_owned(), user_id: user_id.to_owned() };
        Ok(self.client.get_claim(asked).await?.into_inner())
    }

    /// Insists that the audit finds nothing wrong, and so many coupons.
    pub async fn assert_clean(&self, coupons: usize) {
        let report = promotion::audit::run(&self.ground.servers(), None).await.unwrap();
        assert_eq!((report.violations, report.coupons), (Vec::<String>::new(), coupons));
    }

    pub async fn claim(&mut self, deal_id: &str, user_id: &str) -> Result<pb::ClaimCouponResponse, Status> {
        let asked =
            pb::ClaimCouponRequest { deal_id: deal_id.to_owned(), user_id: user_id.to_owned(), pass: String::new() };
        Ok(self.client.claim_coupon(asked).await?.into_inner())
    }

    pub async fn redeem(&mut self, coupon_id: &str, user_id: &str, order_id: &str) -> Result<pb::Coupon, Status> {
        let (coupon_id, user_id, order_id) = (coupon_id.to_owned(), user_id.to_owned(), order_id.to_owned());
        Ok(self.client.redeem_coupon(pb::RedeemCouponRequest { coupon_id, user_id, order_id }).await?.into_inner())
    }

    pub async fn restore(&mut self, coupon_id: &str, order_id: &str) -> Result<pb::Coupon, Status> {
        let (coupon_id, order_id) = (coupon_id.to_owned(), order_id.to_owned());
        Ok(self.client.restore_coupon(pb::RestoreCouponRequest { coupon_id, order_id }).await?.into_inner())
    }

    pub async fn give_back(&mut self, coupon_id: &str, user_id: &str) -> Result<pb::Coupon, Status> {
        let (coupon_id, user_id) = (coupon_id.to_owned(), user_id.to_owned());
        Ok(self.client.return_coupon(pb::ReturnCouponRequest { coupon_id, user_id }).await?.into_inner())
    }

    pub async fn coupon(&mut self, coupon_id: &str) -> Result<pb::Coupon, Status> {
        Ok(self.client.get_coupon(pb::GetCouponRequest { coupon_id: coupon_id.to_owned() }).await?.into_inner())
    }

    pub async fn get(&mut self, deal_id: &str) -> Result<pb::Deal, Status> {
        Ok(self.client.get_deal(pb::GetDealRequest { deal_id: deal_id.to_owned() }).await?.into_inner())
    }

    /// What is listed of a deal once as many as expected have arrived.
    pub async fn arrived(&mut self, deal_id: &str, expected: usize) -> Vec<pb::Coupon> {
        let deadline = tokio::time::Instant::now() + ARRIVAL;
        loop {
            let of = Some(pb::list_coupons_request::Of::DealId(deal_id.to_owned()));
            let asked = pb::ListCouponsRequest { of, page_size: 1_000, ..pb::ListCouponsRequest::default() };
            let coupons = self.client.list_coupons(asked).await.unwrap().into_inner().coupons;
            if coupons.len() >= expected {
                return coupons;
            }
            assert!(tokio::time::Instant::now() < deadline, "{} of {expected} have arrived", coupons.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A deal that is open now, for an hour.
pub fn deal(deal_id: &str, stock: i64) -> pb::Deal {
    let discount = pb::Discount { off: Some(pb::discount::Off::Percent(10)), ..pb::Discount::default() };
    pb::Deal {
        deal_id: deal_id.to_owned(),
        title: "Lunch".to_owned(),
        venue_id: "venue".to_owned(),
        stock,
        closes_at: Some(later(3_600)),
        prize: Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }),
        ..pb::Deal::default()
    }
}

/// The same deal, its coupons valid for so many seconds.
pub fn valid_for(mut deal: pb::Deal, seconds: i64) -> pb::Deal {
    if let Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }) = &mut deal.prize {
        discount.valid_for = Some(prost_types::Duration { seconds, nanos: 0 });
    }
    deal
}

/// So many seconds from now.
pub fn later(seconds: u64) -> prost_types::Timestamp {
    (SystemTime::now() + Duration::from_secs(seconds)).into()
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

/// What `booster migrate` does besides the tables, which the template has.
pub async fn prepare(servers: &Servers) {
    // Promotion reads the topic of the orders, too.
    for service in [promotion::SERVICE, "order"] {
        bus::topic::make(servers, service).await.unwrap();
    }
    let redis = Redis::connect(servers, 1, promotion::LIBRARIES).await.unwrap();
    let pool = kit::postgres::connect(servers, promotion::SERVICE).await.unwrap();
    bus::stamp::stamp(&redis, &pool, &Keys::new(servers, promotion::SERVICE)).await.unwrap();
    redis.close().await;
}

#[expect(clippy::disallowed_methods, reason = "the test outlives the process that it drains")]
fn run(process: Process) -> JoinHandle<std::process::ExitCode> {
    tokio::spawn(process.run_to_end())
}
