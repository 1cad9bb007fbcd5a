//! Three orders with everything: one is paid, one is declined, one is cancelled once it is paid. Whoever asks goes on asking until he is
//! answered.

use std::time::Duration;

use proto::order::v1 as orders;
use proto::order::v1::OrderState;
use proto::payment::v1::PaymentState;
use proto::promotion::v1::CouponState;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::house::{Doors, House, PATIENCE, insist, won};

/// Points that each user has, and uses.
const EARNED: i64 = 1_000;
const USED: i64 = 300;
/// What the item costs, and what a coupon leaves of it.
pub const PRICE: i64 = 10_000;
const TOTAL: i64 = 9_000;
/// The item, and the deal.
pub const ITEM: &str = "soup";
pub const DEAL: &str = "ten-off";
/// How often it is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// What is to become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Paid,
    Declined,
    Cancelled,
}

/// The three orders of one case, before they are placed.
pub struct Case {
    wanted: Vec<Wanted>,
}

struct Wanted {
    end: End,
    user_id: String,
    coupon_id: String,
}

/// An order at its end.
pub struct Ended {
    end: End,
    user_id: String,
    order: orders::Order,
}

impl Case {
    /// Users with coupons and points.
    pub async fn prepare(doors: &mut Doors, name: &str) -> Self {
        let mut wanted = Vec::new();
        for (end, word) in [(End::Paid, "paid"), (End::Declined, "declined"), (End::Cancelled, "cancelled")] {
            let user_id = format!("{name}-{word}");
            let coupon_id = doors.equip(&user_id, DEAL, EARNED).await;
            wanted.push(Wanted { end, user_id, coupon_id });
        }
        Self { wanted }
    }

    /// Places all of them, and follows each to its end.
    pub async fn play(&self, doors: &Doors) -> Vec<Ended> {
        futures::future::join_all(self.wanted.iter().map(|wanted| wanted.play(doors.clone()))).await
    }
}

impl Wanted {
    async fn play(&self, doors: Doors) -> Ended {
        let asked = orders::PlaceOrderRequest {
            user_id: self.user_id.clone(),
            lines: vec![orders::NewOrderLine {
                item_id: ITEM.to_owned(),
                quantity: 1,
                expected_unit_price: Some(won(PRICE)),
            }],
            coupon_id: self.coupon_id.clone(),
            hold_id: String::new(),
            points_to_use: USED,
            payment_method: if self.end == End::Declined { "sandbox:decline" } else { "sandbox" }.to_owned(),
            request_id: format!("place-{}", self.user_id),
        };
        let placed = insist(|| {
            let (mut client, asked) = (doors.order.clone(), asked.clone());
            async move { client.place_order(asked).await }
        })
        .await
        .unwrap();
        let order_id = placed.order_id;
        let first = if self.end == End::Declined { OrderState::Failed } else { OrderState::Paid };
        let mut order = until(&doors, &order_id, first).await;
        if self.end == End::Cancelled {
            let cancelled = insist(|| {
                let (mut client, order_id) = (doors.order.clone(), order_id.clone());
                async move { client.cancel_order(orders::CancelOrderRequest { order_id }).await }
            })
            .await;
            // Where the answer was lost, it is refused the second time: it is being cancelled already.
            let is_refused = cancelled.is_err_and(|status| status.code() != Code::FailedPrecondition);
            assert!(!is_refused, "{order:?} cannot be cancelled");
            order = until(&doors, &order_id, OrderState::Cancelled).await;
        }
        Ended { end: self.end, user_id: self.user_id.clone(), order }
    }
}

impl Ended {
    /// What everybody says of it.
    pub async fn check(&self, doors: &mut Doors) {
        let is_paid = self.end == End::Paid;
        let order = &self.order;
        assert_eq!((order.total.clone().unwrap().minor_units, order.points_used), (TOTAL, USED), "{order:?}");
        let coupon = doors.coupon(&order.coupon_id).await;
        let (state, by) =
            if is_paid { (CouponState::Redeemed, order.order_id.as_str()) } else { (CouponState::Issued, "") };
        assert_eq!((coupon.state(), coupon.order_id.as_str()), (state, by), "{order:?}");
        let balance = doors.balance(&self.user_id).await;
        assert_eq!(balance, if is_paid { EARNED - USED } else { EARNED }, "{order:?}");
        let payment = doors.payment(&order.order_id).await;
        let charged = match self.end {
            End::Paid => PaymentState::Charged,
            End::Declined => PaymentState::Declined,
            End::Cancelled => PaymentState::Refunded,
        };
        assert_eq!((payment.state(), payment.amount), (charged, Some(won(TOTAL - USED))), "{order:?}");
    }
}

/// Checks all of them.
pub async fn check(house: &mut House, ended: &[Ended]) {
    for order in ended {
        order.check(&mut house.doors).await;
    }
}

/// The order once it is in this state.
async fn until(doors: &Doors, order_id: &str, state: OrderState) -> orders::Order {
    let begun = Instant::now();
    loop {
        let order = insist(|| {
            let (mut client, order_id) = (doors.order.clone(), order_id.to_owned());
            async move { client.get_order(orders::GetOrderRequest { order_id }).await }
        })
        .await
        .unwrap();
        if order.state() == state {
            return order;
        }
        assert!(begun.elapsed() < PATIENCE, "it is not {state:?}: {order:?}");
        sleep(AGAIN).await;
    }
}
