//! The gRPC door: decode, validate, deadline; then a verb; then the reply.

mod page;
mod reply;
mod request;

use std::time::Duration;

use bus::relay::journal::Bell;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use kit::error::Error;
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use kit::postgres::Pool;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_server::{PromotionService, PromotionServiceServer};
use tonic::{Request, Response, Status};

use crate::claim::Claims;
use crate::deal::Refusal;
use crate::redeem::Stores;
use crate::redis::Deals;
use crate::watch::Watches;
use crate::winners::Winners;
use crate::{find, schedule};

pub use reply::coupon;
pub use request::coupon_from;

/// How long a claim may take, at most; less where its client says so.
const CLAIM_TIME: Duration = Duration::from_secs(2);
/// How long everything else may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);

/// How long a deal is watched, at most; less where its client says so. Whoever wants more asks again.
const WATCH_TIME: Duration = Duration::from_secs(3_600);

/// What the methods work with.
#[derive(Clone)]
pub struct Promotion {
    /// Deals as they were ordered, and coupons as they arrived.
    pub pool: Pool,
    /// Deals as they stand.
    pub deals: Deals,
    /// The way to a coupon.
    pub claims: Claims,
    /// What is answered from memory.
    pub winners: Winners,
    /// Who watches what.
    pub watches: Watches,
    /// Wakes the relay.
    pub bell: Bell,
}

/// The service, ready to be served.
#[must_use]
pub fn server(promotion: Promotion) -> PromotionServiceServer<Promotion> {
    PromotionServiceServer::new(promotion)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(ANSWER_LONGEST)
}

/// The longest answer, in bytes: a page of a thousand coupons.
const ANSWER_LONGEST: usize = 4 * 1024 * 1024;

#[tonic::async_trait]
impl PromotionService for Promotion {
    async fn create_deal(&self, request: Request<pb::CreateDealRequest>) -> Result<Response<pb::Deal>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (wish, request) = request::create_deal(request.into_inner())?;
            let deal = schedule::create(&self.pool, &self.deals, wish, request).await?;
            self.claims.know(&deal.wish.deal_id);
            Ok(reply::deal(&deal))
        })
        .await
    }

    async fn get_deal(&self, request: Request<pb::GetDealRequest>) -> Result<Response<pb::Deal>, Status> {
        answer(until(&request, CALL_TIME), async {
            let deal_id = request::deal_id(&request.get_ref().deal_id)?;
            Ok(reply::deal(&find::deal(&self.pool, &self.deals, &deal_id).await?))
        })
        .await
    }

    async fn update_deal(&self, request: Request<pb::UpdateDealRequest>) -> Result<Response<pb::Deal>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (deal_id, patch) = request::update_deal(request.into_inner())?;
            let updated = schedule::update(&self.pool, &self.deals, &deal_id, &patch).await;
            self.winners.forget(&deal_id);
            Ok(reply::deal(&updated?))
        })
        .await
    }

    async fn close_deal(&self, request: Request<pb::CloseDealRequest>) -> Result<Response<pb::Deal>, Status> {
        answer(until(&request, CALL_TIME), async {
            let deal_id = request::deal_id(&request.get_ref().deal_id)?;
            let closed = schedule::close(&self.pool, &self.deals, &deal_id).await;
            self.winners.forget(&deal_id);
            Ok(reply::deal(&closed?))
        })
        .await
    }

    type WatchDealStream = BoxStream<'static, Result<pb::WatchDealResponse, Status>>;

    async fn watch_deal(
        &self,
        request: Request<pb::WatchDealRequest>,
    ) -> Result<Response<Self::WatchDealStream>, Status> {
        let end = until(&request, WATCH_TIME);
        answer(until(&request, CALL_TIME), async {
            let deal_id = request::deal_id(&request.get_ref().deal_id)?;
            let watcher = self.watches.watch(&deal_id)?;
            let views = watcher.views(&find::deal(&self.pool, &self.deals, &deal_id).await?);
            Ok(views.map(|view| Ok(reply::view(&view))).take_until(tokio::time::sleep_until(end.instant())).boxed())
        })
        .await
    }

    async fn list_deals(
        &self,
        request: Request<pb::ListDealsRequest>,
    ) -> Result<Response<pb::ListDealsResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = page::Deals::read(request.get_ref())?;
            let of = (page.venue_id.as_ref(), page.state);
            Ok(page.reply(find::deals(&self.pool, &self.deals, of, page.after.clone(), page.size).await?))
        })
        .await
    }

    async fn claim_coupon(
        &self,
        request: Request<pb::ClaimCouponRequest>,
    ) -> Result<Response<pb::ClaimCouponResponse>, Status> {
        let deadline = until(&request, CLAIM_TIME);
        answer(deadline, async {
            let (deal_id, user_id) = request::claim(&request.get_ref().deal_id, &request.get_ref().user_id)?;
            let yes = self.claims.claim(deal_id, user_id, deadline).await?;
            Ok(pb::ClaimCouponResponse { coupon: Some(coupon(&yes.coupon)), already_held: yes.already_held })
        })
        .await
    }

    async fn get_claim(&self, request: Request<pb::GetClaimRequest>) -> Result<Response<pb::Coupon>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (deal_id, user_id) = request::claim(&request.get_ref().deal_id, &request.get_ref().user_id)?;
            Ok(coupon(&find::claim(&self.pool, &self.deals, deal_id, user_id).await?))
        })
        .await
    }

    async fn get_coupon(&self, request: Request<pb::GetCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (deal_id, rank) = request::coupon_id(&request.get_ref().coupon_id)?;
            Ok(coupon(&find::coupon(&self.pool, &self.deals, deal_id, rank).await?))
        })
        .await
    }

    async fn redeem_coupon(&self, request: Request<pb::RedeemCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (named, user_id, order_id) = request::redeem_coupon(request.get_ref())?;
            Ok(coupon(&self.stores().redeem(named, user_id, order_id).await?))
        })
        .await
    }

    async fn restore_coupon(&self, request: Request<pb::RestoreCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (named, order_id) = request::restore_coupon(request.get_ref())?;
            Ok(coupon(&self.stores().restore(named, order_id).await?))
        })
        .await
    }

    async fn return_coupon(&self, request: Request<pb::ReturnCouponRequest>) -> Result<Response<pb::Coupon>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (named, user_id) = request::return_coupon(request.get_ref())?;
            let deal_id = named.0.clone();
            let returned = self.stores().give_back(named, user_id).await;
            self.winners.forget(&deal_id);
            Ok(coupon(&returned?))
        })
        .await
    }

    async fn list_coupons(
        &self,
        request: Request<pb::ListCouponsRequest>,
    ) -> Result<Response<pb::ListCouponsResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = page::Coupons::read(request.into_inner())?;
            Ok(page.reply(find::coupons(&self.pool, &page.of, page.state, page.after.as_ref(), page.size).await?))
        })
        .await
    }
}

impl Promotion {
    fn stores(&self) -> Stores<'_> {
        Stores { pool: &self.pool, deals: &self.deals, bell: &self.bell }
    }
}

fn until<T>(request: &Request<T>, default: Duration) -> Deadline {
    deadline(request.metadata(), default)
}

/// Not an `async fn`, which would hold the work twice.
fn answer<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error<Refusal>>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    within(deadline, work).map(|done| Ok(Response::new(done?)))
}
