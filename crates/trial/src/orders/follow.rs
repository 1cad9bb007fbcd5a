//! What users do with an order that was placed: they watch it, cancel it, or move it on.

use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::order::v1::{AdvanceOrderRequest, CancelOrderRequest, OrderState, WatchOrderRequest};
use tonic::Status;
use tonic::transport::Channel;

use super::call::timed;
use super::crowd::{Crowd, Followed};
use super::journal::Call;
use super::scene::{Then, When};

/// Where an order goes, step by step.
pub(super) const COURSE: [OrderState; 3] = [OrderState::Preparing, OrderState::Shipping, OrderState::Delivered];
/// How far an order has to be until it cannot be cancelled any more: SHIPPING.
const TOO_FAR: usize = 2;
/// How long one stream is read before the order is asked for anew: who is silent may be gone.
const STREAM: Duration = Duration::from_secs(30);
/// Between the end of a stream and the next one.
const PAUSE: Duration = Duration::from_millis(200);

impl Crowd<'_> {
    /// Until nobody follows an order any more. Each is followed for `longest` at most.
    pub(super) async fn follow(&self, orders: mpsc::UnboundedReceiver<Followed>, longest: Duration) {
        let most = self.doors.watch.capacity();
        orders.for_each_concurrent(most, |order| self.go_on(order, longest)).await;
    }

    async fn go_on(&self, Followed { number, order_id }: Followed, longest: Duration) {
        let then = self.scene.wishes[number].then;
        if then != Then::Cancel(When::AtOnce) {
            let settled = tokio::time::timeout(longest, self.settled(number, &order_id)).await;
            if settled.is_err() {
                return;
            }
        }
        match then {
            Then::Nothing => {}
            Then::Cancel(When::AtOnce | When::Paid) => self.cancel(number, &order_id).await,
            Then::Cancel(When::Preparing) => {
                self.advance(number, &order_id, 1).await;
                self.cancel(number, &order_id).await;
            }
            Then::Advance(steps) => {
                for to in 1..=steps {
                    self.advance(number, &order_id, to).await;
                }
                if steps >= TOO_FAR {
                    self.cancel(number, &order_id).await;
                }
            }
        }
    }

    /// Watches the order until it is neither PENDING nor CANCELLING.
    async fn settled(&self, number: usize, order_id: &str) {
        for turn in number.. {
            let turn = self.doors.watch.turn(turn).await;
            if let Ok(Ok(true)) = tokio::time::timeout(STREAM, watch(turn.channel(), order_id)).await {
                return;
            }
            drop(turn);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn cancel(&self, number: usize, order_id: &str) {
        let request = CancelOrderRequest { order_id: order_id.to_owned() };
        self.journalled(number, Call::Cancel, number, async |channel| {
            OrderServiceClient::new(channel).cancel_order(timed(request.clone(), self.patience)).await
        })
        .await;
    }

    /// Moves it on: 1 is PREPARING.
    async fn advance(&self, number: usize, order_id: &str, to: usize) {
        let request = AdvanceOrderRequest { order_id: order_id.to_owned(), state: COURSE[to - 1].into() };
        self.journalled(number, Call::Advance { to }, number, async |channel| {
            OrderServiceClient::new(channel).advance_order(timed(request.clone(), self.patience)).await
        })
        .await;
    }
}

/// Whether it was seen to have settled before the stream ended.
async fn watch(channel: Channel, order_id: &str) -> Result<bool, Status> {
    let request = WatchOrderRequest { order_id: order_id.to_owned() };
    let mut orders = OrderServiceClient::new(channel).watch_order(request).await?.into_inner();
    while let Some(order) = orders.message().await? {
        if !matches!(order.state(), OrderState::Pending | OrderState::Cancelling | OrderState::Unspecified) {
            return Ok(true);
        }
    }
    Ok(false)
}
