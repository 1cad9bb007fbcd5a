//! What everything is divided by: the method that claims, of a plain tonic server, with nothing behind it. It takes the same
//! request from the same client and answers an empty message.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_server::{PromotionService, PromotionServiceServer};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The empty server, in a process of its own. It is killed when dropped.
#[derive(Debug)]
pub struct Empty {
    process: Child,
    url: String,
}

impl Empty {
    /// Starts it, and waits until it listens.
    pub async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program")?;
        let mut command = Command::new(program);
        let command = command.arg("--empty").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("the empty server cannot be started")?;
        let stdout = process.stdout.take().context("its stdout")?;
        let Some(addr) = BufReader::new(stdout).lines().next_line().await? else { bail!("the empty server has ended") };
        Ok(Self { process, url: format!("http://{addr}") })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the empty server has ended")
    }
}

/// The body of that process: says where it listens, and serves.
pub async fn serve() -> anyhow::Result<()> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
    println!("{}", incoming.local_addr()?);
    let service = PromotionServiceServer::new(Nothing);
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

struct Nothing;

#[tonic::async_trait]
impl PromotionService for Nothing {
    async fn claim_coupon(
        &self,
        _request: Request<pb::ClaimCouponRequest>,
    ) -> Result<Response<pb::ClaimCouponResponse>, Status> {
        Ok(Response::new(pb::ClaimCouponResponse::default()))
    }

    async fn create_deal(&self, _request: Request<pb::CreateDealRequest>) -> Result<Response<pb::Deal>, Status> {
        Err(not_here())
    }

    async fn get_deal(&self, _request: Request<pb::GetDealRequest>) -> Result<Response<pb::Deal>, Status> {
        Err(not_here())
    }

    async fn update_deal(&self, _request: Request<pb::UpdateDealRequest>) -> Result<Response<pb::Deal>, Status> {
        Err(not_here())
    }

    async fn close_deal(&self, _request: Request<pb::CloseDealRequest>) -> Result<Response<pb::Deal>, Status> {
        Err(not_here())
    }

    async fn list_deals(
        &self,
        _request: Request<pb::ListDealsRequest>,
    ) -> Result<Response<pb::ListDealsResponse>, Status> {
        Err(not_here())
    }

    type WatchDealStream = futures::stream::Empty<Result<pb::WatchDealResponse, Status>>;

    async fn watch_deal(
        &self,
        _request: Request<pb::WatchDealRequest>,
    ) -> Result<Response<Self::WatchDealStream>, Status> {
        Err(not_here())
    }

    async fn get_coupon(&self, _request: Request<pb::GetCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        Err(not_here())
    }

    async fn redeem_coupon(&self, _request: Request<pb::RedeemCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        Err(not_here())
    }

    async fn restore_coupon(
        &self,
        _request: Request<pb::RestoreCouponRequest>,
    ) -> Result<Response<pb::Coupon>, Status> {
        Err(not_here())
    }

    async fn get_claim(&self, _request: Request<pb::GetClaimRequest>) -> Result<Response<pb::Coupon>, Status> {
        Err(not_here())
    }

    async fn return_coupon(&self, _request: Request<pb::ReturnCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        Err(not_here())
    }

    async fn list_coupons(
        &self,
        _request: Request<pb::ListCouponsRequest>,
    ) -> Result<Response<pb::ListCouponsResponse>, Status> {
        Err(not_here())
    }
}

fn not_here() -> Status {
    Status::unimplemented("only ClaimCoupon is answered here, and with nothing")
}
