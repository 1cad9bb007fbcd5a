//! What the services show of a run, to whoever asks them.

use std::collections::BTreeSet;
use std::future::Future;

use anyhow::anyhow;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::order::v1::{GetItemRequest, ListOrdersRequest};
use proto::payment::v1::ListPaymentsRequest;
use proto::payment::v1::payment_service_client::PaymentServiceClient;
use proto::point::v1::GetBalanceRequest;
use proto::point::v1::point_service_client::PointServiceClient;
use proto::promotion::v1::GetCouponRequest;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use proto::ranking::v1::ranking_service_client::RankingServiceClient;
use proto::ranking::v1::{GetRankRequest, ListTopRequest, Period};
use proto::r#type::v1::Money;
use tonic::Status;

use super::answer::reason;
use super::call::{ask, timed};
use super::doors::Doors;
use super::kept::{Account, Coupon, Inside, Item, Kept, Line, Order, Payment, Score, Shown};
use super::props::Coupons;
use super::scene::Scene;
use super::verdict::TOP;
use crate::rush::backoff::Patience;

/// Everybody who is asked.
pub(super) struct Faces<'a> {
    pub(super) scene: &'a Scene,
    pub(super) coupons: &'a Coupons,
    pub(super) doors: &'a Doors,
    pub(super) patience: Patience,
}

/// Questions in flight.
const AT_ONCE: usize = 32;
/// The most that one page may hold.
const PAGE: i32 = 1000;

impl Faces<'_> {
    /// All of it. `kept` says on which days anything was sold.
    pub(super) async fn shown(&self, kept: &Kept) -> anyhow::Result<Shown> {
        let users = self.scene.user_ids();
        let coupons: Vec<&String> = self.coupons.values().collect();
        let mut shown = Shown {
            items: each(&self.scene.items, |item| self.item(&item.item_id)).await?,
            orders: each(&users, |user| self.orders(user)).await?.concat(),
            payments: each(&users, |user| self.payments(user)).await?.concat(),
            accounts: each(&users, |user| self.account(user)).await?,
            coupons: each(&coupons, |coupon_id| self.coupon(coupon_id)).await?,
            days: Vec::new(),
            top: self.top().await?,
        };
        for day in kept.orders.iter().filter_map(|order| order.inside.day.as_ref()).collect::<BTreeSet<_>>() {
            shown.days.extend(each(&self.scene.items, |item| self.score(day, &item.item_id)).await?);
        }
        Ok(shown)
    }

    async fn item(&self, item_id: &str) -> anyhow::Result<Item> {
        let request = GetItemRequest { item_id: item_id.to_owned() };
        let item = ask(&self.doors.order, self.patience, 0, async |channel| {
            OrderServiceClient::new(channel).get_item(timed(request.clone(), self.patience)).await
        });
        let item = item.await.map_err(|status| cannot("item", item_id, &status))?;
        Ok(Item { item_id: item.item_id, stock: item.stock, sold: item.sold })
    }

    async fn orders(&self, user_id: &str) -> anyhow::Result<Vec<Order>> {
        let mut request = ListOrdersRequest { user_id: user_id.to_owned(), page_size: PAGE, page_token: String::new() };
        let mut orders = Vec::new();
        loop {
            let page = ask(&self.doors.order, self.patience, orders.len(), async |channel| {
                OrderServiceClient::new(channel).list_orders(timed(request.clone(), self.patience)).await
            });
            let page = page.await.map_err(|status| cannot("the orders of", user_id, &status))?;
            orders.extend(page.orders.into_iter().map(order));
            if page.next_page_token.is_empty() {
                return Ok(orders);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn payments(&self, user_id: &str) -> anyhow::Result<Vec<Payment>> {
        let mut request =
            ListPaymentsRequest { user_id: user_id.to_owned(), page_size: PAGE, ..ListPaymentsRequest::default() };
        let mut payments = Vec::new();
        loop {
            let page = ask(&self.doors.payment, self.patience, payments.len(), async |channel| {
                PaymentServiceClient::new(channel).list_payments(timed(request.clone(), self.patience)).await
            });
            let page = page.await.map_err(|status| cannot("the payments of", user_id, &status))?;
            payments.extend(page.payments.into_iter().map(payment));
            if page.next_page_token.is_empty() {
                return Ok(payments);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn account(&self, user_id: &str) -> anyhow::Result<Account> {
        let request = GetBalanceRequest { user_id: user_id.to_owned(), at: None };
        let balance = ask(&self.doors.point, self.patience, 0, async |channel| {
            PointServiceClient::new(channel).get_balance(timed(request.clone(), self.patience)).await
        });
        let balance = balance.await.map_err(|status| cannot("the balance of", user_id, &status))?;
        Ok(Account { user_id: user_id.to_owned(), balance: balance.available })
    }

    /// As Redis has it.
    async fn coupon(&self, coupon_id: &str) -> anyhow::Result<Coupon> {
        let request = GetCouponRequest { coupon_id: coupon_id.to_owned() };
        let coupon = ask(&self.doors.promotion, self.patience, 0, async |channel| {
            PromotionServiceClient::new(channel).get_coupon(timed(request.clone(), self.patience)).await
        });
        let coupon = coupon.await.map_err(|status| cannot("coupon", coupon_id, &status))?;
        let state = coupon.state().as_str_name().trim_start_matches("COUPON_STATE_").to_owned();
        let order_id = Some(coupon.order_id).filter(|order_id| !order_id.is_empty());
        Ok(Coupon { coupon_id: coupon.coupon_id, user_id: coupon.user_id, order_id, state })
    }

    async fn score(&self, day: &str, item_id: &str) -> anyhow::Result<Score> {
        let request = GetRankRequest {
            board: "items".to_owned(),
            period: Period::Daily.into(),
            date: day.to_owned(),
            item_id: item_id.to_owned(),
        };
        let rank = ask(&self.doors.ranking, self.patience, 0, async |channel| {
            RankingServiceClient::new(channel).get_rank(timed(request.clone(), self.patience)).await
        });
        let score = match rank.await {
            Ok(rank) => rank.entry.map_or(0, |entry| entry.score),
            Err(status) if reason(&status) == "RANK_NOT_FOUND" => 0,
            Err(status) => return Err(cannot("the rank of", item_id, &status)),
        };
        Ok(Score { day: day.to_owned(), item_id: item_id.to_owned(), score })
    }

    async fn top(&self) -> anyhow::Result<Vec<Score>> {
        let request = ListTopRequest {
            board: "items".to_owned(),
            period: Period::AllTime.into(),
            limit: i32::try_from(TOP)?,
            ..ListTopRequest::default()
        };
        let top = ask(&self.doors.ranking, self.patience, 0, async |channel| {
            RankingServiceClient::new(channel).list_top(timed(request.clone(), self.patience)).await
        });
        let top = top.await.map_err(|status| cannot("the top", "of all time", &status))?;
        let score = |entry: proto::ranking::v1::BoardEntry| Score {
            day: String::new(),
            item_id: entry.item_id,
            score: entry.score,
        };
        Ok(top.entries.into_iter().map(score).collect())
    }
}

/// Asks for each of them, several at once; the answers come in any order.
async fn each<'a, T, R, F>(of: &'a [T], ask: impl Fn(&'a T) -> F) -> anyhow::Result<Vec<R>>
where
    F: Future<Output = anyhow::Result<R>>,
{
    stream::iter(of).map(ask).buffer_unordered(AT_ONCE).try_collect().await
}

fn order(order: proto::order::v1::Order) -> Order {
    let state = order.state();
    let line = |line: proto::order::v1::OrderLine| Line {
        item_id: line.item_id,
        quantity: line.quantity,
        unit_price: minor_units(line.unit_price),
    };
    Order {
        order_id: order.order_id,
        user_id: order.user_id,
        lines: order.lines.into_iter().map(line).collect(),
        coupon_id: Some(order.coupon_id).filter(|coupon_id| !coupon_id.is_empty()),
        points: order.points_used,
        subtotal: minor_units(order.subtotal),
        discount: minor_units(order.discount),
        total: minor_units(order.total),
        state,
        reason: order.reason,
        was_paid: order.paid_at.is_some(),
        inside: Inside::default(),
    }
}

fn payment(payment: proto::payment::v1::Payment) -> Payment {
    let state = payment.state();
    Payment {
        order_id: payment.order_id,
        user_id: payment.user_id,
        amount: minor_units(payment.amount),
        refunded: minor_units(payment.refunded),
        state,
        reference: payment.provider_reference,
    }
}

fn minor_units(money: Option<Money>) -> i64 {
    money.map_or(0, |money| money.minor_units)
}

fn cannot(what: &str, whose: &str, status: &Status) -> anyhow::Error {
    anyhow!("{what} {whose} is not shown: {} {} ({})", status.code(), reason(status), status.message())
}
