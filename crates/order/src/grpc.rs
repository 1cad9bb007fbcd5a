//! The gRPC door: decode, validate, deadline; then a verb; then the reply.

mod reply;
mod request;

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use kit::error::Error;
use kit::grpc::{Deadline, MAX_MESSAGE_BYTES, deadline, within};
use kit::postgres::Pool;
use proto::order::v1 as pb;
use proto::order::v1::order_service_server::{OrderService, OrderServiceServer};
use tonic::{Request, Response, Status};

use crate::order::Refusal;
use crate::place::Places;
use crate::proceed::Orders;
use crate::watch::Watches;
use crate::{advance, cancel, find, stock};

pub use reply::{money, order, step_kind};
pub use request::offer;

/// How long placing may take, at most; less where its client says so.
const PLACE_TIME: Duration = Duration::from_secs(10);
/// How long everything else may take, at most; less where its client says so.
const CALL_TIME: Duration = Duration::from_secs(5);
/// How long an order is watched, at most; less where its client says so. Whoever wants more asks again.
const WATCH_TIME: Duration = Duration::from_secs(3_600);
/// The longest answer, in bytes: a page of a thousand orders.
const ANSWER_LONGEST: usize = 16 * 1024 * 1024;

/// What the methods work with.
#[derive(Clone)]
pub struct Door {
    /// Where orders are kept.
    pub pool: Pool,
    /// What happens to them.
    pub orders: Orders,
    /// The way in.
    pub places: Places,
    /// Who watches what.
    pub watches: Watches,
}

/// The service, ready to be served.
#[must_use]
pub fn server(door: Door) -> OrderServiceServer<Door> {
    OrderServiceServer::new(door).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(ANSWER_LONGEST)
}

#[tonic::async_trait]
impl OrderService for Door {
    async fn put_item(&self, request: Request<pb::PutItemRequest>) -> Result<Response<pb::Item>, Status> {
        answer(until(&request, CALL_TIME), async {
            let wish = request::put_item(request.into_inner())?;
            Ok(reply::item(&stock::put(&self.pool, &wish).await?))
        })
        .await
    }

    async fn get_item(&self, request: Request<pb::GetItemRequest>) -> Result<Response<pb::Item>, Status> {
        answer(until(&request, CALL_TIME), async {
            let item_id = request::item_id(&request.get_ref().item_id)?;
            Ok(reply::item(&find::item(&self.pool, &item_id).await?))
        })
        .await
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = request::Items::read(request.get_ref())?;
            let listed = find::items(&self.pool, page.venue_id.as_ref(), page.after.as_ref(), page.size).await?;
            Ok(reply::items(&page.list(), &listed))
        })
        .await
    }

    async fn adjust_stock(&self, request: Request<pb::AdjustStockRequest>) -> Result<Response<pb::Item>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (item_id, delta, request) = request::adjust_stock(request.get_ref())?;
            Ok(reply::item(&stock::adjust(&self.pool, &item_id, delta, request).await?))
        })
        .await
    }

    async fn place_order(&self, request: Request<pb::PlaceOrderRequest>) -> Result<Response<pb::Order>, Status> {
        let deadline = until(&request, PLACE_TIME);
        answer(deadline, async {
            let (wish, request) = request::place_order(request.get_ref())?;
            Ok(order(&self.places.place(wish, request, deadline).await?))
        })
        .await
    }

    async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Result<Response<pb::Order>, Status> {
        answer(until(&request, CALL_TIME), async {
            let order_id = request::order_id(&request.get_ref().order_id)?;
            Ok(order(&find::order(&self.pool, &order_id).await?))
        })
        .await
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let page = request::OfUser::read(request.get_ref())?;
            let listed = find::orders(&self.pool, &page.user_id, page.after.as_ref(), page.size).await?;
            Ok(reply::orders(&page.list(), &listed))
        })
        .await
    }

    async fn cancel_order(&self, request: Request<pb::CancelOrderRequest>) -> Result<Response<pb::Order>, Status> {
        answer(until(&request, CALL_TIME), async {
            let order_id = request::order_id(&request.get_ref().order_id)?;
            Ok(order(&cancel::cancel(&self.pool, &self.orders, &order_id).await?))
        })
        .await
    }

    async fn advance_order(&self, request: Request<pb::AdvanceOrderRequest>) -> Result<Response<pb::Order>, Status> {
        answer(until(&request, CALL_TIME), async {
            let (order_id, to) = request::advance_order(request.get_ref())?;
            Ok(order(&advance::advance(&self.pool, &self.orders, &order_id, to).await?))
        })
        .await
    }

    type WatchOrderStream = BoxStream<'static, Result<pb::Order, Status>>;

    async fn watch_order(
        &self,
        request: Request<pb::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let end = until(&request, WATCH_TIME);
        answer(until(&request, CALL_TIME), async {
            let order_id = request::order_id(&request.get_ref().order_id)?;
            // Found before it is watched: what does not exist is not looked for.
            find::order(&self.pool, &order_id).await?;
            let watcher = self.watches.watch(&order_id)?;
            let views = watcher.views(find::order(&self.pool, &order_id).await?);
            let views = views.map(|view| Ok(order(&view)));
            Ok(views.take_until(tokio::time::sleep_until(end.instant())).boxed())
        })
        .await
    }

    async fn list_order_steps(
        &self,
        request: Request<pb::ListOrderStepsRequest>,
    ) -> Result<Response<pb::ListOrderStepsResponse>, Status> {
        answer(until(&request, CALL_TIME), async {
            let order_id = request::order_id(&request.get_ref().order_id)?;
            let order = find::order(&self.pool, &order_id).await?;
            Ok(pb::ListOrderStepsResponse { steps: order.saga.steps().iter().map(reply::step).collect() })
        })
        .await
    }
}

fn until<T>(request: &Request<T>, default: Duration) -> Deadline {
    deadline(request.metadata(), default)
}

fn answer<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error<Refusal>>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    within(deadline, work).map(|done| Ok(Response::new(done?)))
}
