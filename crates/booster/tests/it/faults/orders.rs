//! Orders use coupons and undo that while everything dies: a coupon belongs to one order at a time, an undo is final, and what was
//! told last is so everywhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use proto::promotion::v1 as pb;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};

use super::{Field, seconds};
use crate::crowd::{Client, claiming, creating, doors, reason};

/// Coupons, and orders that want each of them.
const COUPONS: usize = 24;
const RIVALS: usize = 2;
/// How long one answer is waited for, and how often it is asked again.
const PATIENCE: Duration = Duration::from_secs(90);
const LONGEST: Duration = Duration::from_secs(6);
const AGAIN: Duration = Duration::from_millis(50);
/// After which nobody can tell whether it happened, or nothing did: it is asked again.
const OPEN: [&str; 4] = ["BACKEND_UNAVAILABLE", "OVERLOADED", "", "DEADLINE"];

/// A coupon that orders want.
struct Wanted {
    coupon_id: String,
    user_id: String,
    /// The order that has been told yes, and has not begun to undo it.
    has: Mutex<Option<String>>,
}

/// Asks until the answer is definite, each time another process.
async fn insist<T, F>(doors: &[Client], mut ask: impl FnMut(Client) -> F) -> Result<T, String>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let begun = Instant::now();
    for number in 0.. {
        let door = doors[number % doors.len()].clone();
        let told = tokio::time::timeout(LONGEST, ask(door)).await;
        let status = match told.unwrap_or_else(|_| Err(Status::deadline_exceeded("nobody answers"))) {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        let why = reason(&status);
        let is_open = OPEN.contains(&why.as_str()) || why.contains(": ");
        if !is_open {
            return Err(why);
        }
        assert!(begun.elapsed() < PATIENCE, "it is never known: {status:?}");
        sleep(AGAIN).await;
    }
    unreachable!("it is asked until it is known")
}

impl Wanted {
    async fn redeem(&self, doors: &[Client], order_id: &str) -> Result<pb::Coupon, String> {
        let asked = pb::RedeemCouponRequest {
            coupon_id: self.coupon_id.clone(),
            user_id: self.user_id.clone(),
            order_id: order_id.to_owned(),
        };
        insist(doors, |mut door| {
            let asked = asked.clone();
            async move { door.redeem_coupon(asked).await }
        })
        .await
    }

    async fn restore(&self, doors: &[Client], order_id: &str) -> Result<pb::Coupon, String> {
        let asked = pb::RestoreCouponRequest { coupon_id: self.coupon_id.clone(), order_id: order_id.to_owned() };
        insist(doors, |mut door| {
            let asked = asked.clone();
            async move { door.restore_coupon(asked).await }
        })
        .await
    }

    /// One order after another: each has the coupon for a moment, and undoes that; every third comes too early with its undo.
    async fn live(&self, doors: &[Client], rival: usize, until: Instant) {
        for number in 0.. {
            if Instant::now() > until {
                return;
            }
            let order_id = format!("o{rival}-{number}");
            if number % 3 == 2 {
                self.undo(doors, &order_id).await;
                continue;
            }
            match self.redeem(doors, &order_id).await {
                Ok(coupon) => {
                    assert_eq!((coupon.state(), &coupon.order_id), (pb::CouponState::Redeemed, &order_id));
                    let other = self.has.lock().unwrap().replace(order_id.clone());
                    assert_eq!(other, None, "{} is used twice, and now by {order_id}", self.coupon_id);
                    sleep(Duration::from_millis(5)).await;
                    let mine = self.has.lock().unwrap().take();
                    assert_eq!(mine.as_ref(), Some(&order_id));
                    self.undo(doors, &order_id).await;
                }
                Err(why) => assert_eq!(why, "COUPON_REDEEMED", "{order_id} of {}", self.coupon_id),
            }
        }
    }

    async fn undo(&self, doors: &[Client], order_id: &str) {
        match self.restore(doors, order_id).await {
            Ok(coupon) => assert_ne!(coupon.order_id, order_id, "{}", self.coupon_id),
            Err(why) => assert_eq!(why, "COUPON_OTHER_ORDER", "{order_id} of {}", self.coupon_id),
        }
        let again = self.redeem(doors, order_id).await.expect_err("an undone order has nothing any more");
        assert!(["COUPON_OTHER_ORDER", "COUPON_REDEEMED"].contains(&again.as_str()), "{again}");
    }
}

/// Deals are made, changed, claimed from and closed: after a close is answered nobody new wins.
async fn close_deals(doors: &[Client], number: usize, until: Instant) -> Vec<String> {
    let mut closed = Vec::new();
    for turn in 0.. {
        if Instant::now() > until {
            break;
        }
        let deal_id = format!("closed-{number}-{turn}");
        let created = pb::CreateDealRequest { request_id: deal_id.clone(), ..creating(&deal_id, 1) };
        insist(doors, |mut door| {
            let created = created.clone();
            async move { door.create_deal(created).await }
        })
        .await
        .unwrap();
        for stock in 2..4_i64 {
            let deal = pb::Deal { deal_id: deal_id.clone(), stock, title: format!("{stock}"), ..pb::Deal::default() };
            let update_mask = Some(prost_types::FieldMask { paths: vec!["stock".to_owned(), "title".to_owned()] });
            let updated = insist(doors, |mut door| {
                let asked = pb::UpdateDealRequest { deal: Some(deal.clone()), update_mask: update_mask.clone() };
                async move { door.update_deal(asked).await }
            })
            .await
            .unwrap();
            assert_eq!((updated.stock, updated.title), (stock, format!("{stock}")));
        }
        let first = insist(doors, |mut door| {
            let asked = claiming(&deal_id, "ann");
            async move { door.claim_coupon(asked).await }
        })
        .await;
        assert!(first.is_ok(), "{first:?}");
        let over = insist(doors, |mut door| {
            let asked = pb::CloseDealRequest { deal_id: deal_id.clone() };
            async move { door.close_deal(asked).await }
        })
        .await
        .unwrap();
        assert_eq!((over.state(), over.stock, over.round), (pb::DealState::Closed, 3, 3));
        let late = insist(doors, |mut door| {
            let asked = claiming(&deal_id, "bob");
            async move { door.claim_coupon(asked).await }
        })
        .await;
        assert_eq!(late.expect_err("the deal is closed"), "CLOSED");
        // It is over with its only coupon, and leaves Redis whenever it likes.
        let returned = insist(doors, |mut door| {
            let asked = pb::ReturnCouponRequest { coupon_id: format!("{deal_id}-1"), user_id: "ann".to_owned() };
            async move { door.return_coupon(asked).await }
        })
        .await
        .unwrap();
        assert_eq!(returned.state(), pb::CouponState::Returned);
        closed.push(deal_id);
        sleep(Duration::from_millis(100)).await;
    }
    closed
}

/// Everything dies, one after the other; a process too.
async fn hurt(field: &mut Field, until: Instant) {
    while Instant::now() < until {
        field.processes[0].kill9().await;
        sleep(Duration::from_millis(300)).await;
        field.processes[0].start_again().await;
        let servers = field.servers.clone();
        let faults = tokio::task::spawn_blocking(move || {
            servers.kill_redis_primaries();
            std::thread::sleep(Duration::from_millis(500));
            servers.restart_redis();
            std::thread::sleep(Duration::from_secs(3));
            servers.crash_postgres();
            std::thread::sleep(Duration::from_secs(1));
            servers.pause_kafka();
            std::thread::sleep(Duration::from_secs(2));
            servers.fill_memory();
            std::thread::sleep(Duration::from_secs(2));
            servers.free_memory();
            servers.resume_kafka();
            std::thread::sleep(Duration::from_secs(1));
        });
        faults.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_use_and_undo_while_everything_dies() {
    let mut field = Field::start("orders").await;
    let doors = doors(&field.urls()).await;
    let mut client = doors[0].clone();
    client.create_deal(creating("orders", i64::try_from(COUPONS).unwrap())).await.unwrap();
    let mut wanted = Vec::new();
    for number in 0..COUPONS {
        let user_id = format!("u{number}");
        let coupon = client.claim_coupon(claiming("orders", &user_id)).await.unwrap().into_inner().coupon.unwrap();
        wanted.push(Arc::new(Wanted { coupon_id: coupon.coupon_id, user_id, has: Mutex::default() }));
    }
    let until = Instant::now() + seconds(30, 120);
    let lives = join_all(wanted.iter().flat_map(|wanted| (0..RIVALS).map(|rival| wanted.live(&doors, rival, until))));
    let closes = join_all((0..4).map(|number| close_deals(&doors, number, until)));
    let (_, closed, ()) = tokio::join!(lives, closes, hurt(&mut field, until));
    assert!(closed.iter().all(|deals| !deals.is_empty()));

    // What is told in the end is so everywhere.
    for (number, coupon) in wanted.iter().enumerate() {
        let order_id = format!("last-{number}");
        let redeemed = coupon.redeem(&doors, &order_id).await.unwrap();
        for _ in 0..2 {
            let shown = insist(&doors, |mut door| {
                let asked = pb::GetCouponRequest { coupon_id: coupon.coupon_id.clone() };
                async move { door.get_coupon(asked).await }
            })
            .await
            .unwrap();
            assert_eq!(shown, redeemed);
        }
    }
    field.assert_exact(&[]).await;
    let last = "SELECT count(*) FROM promotion.coupon WHERE deal_id = 'orders' AND state = 'REDEEMED' AND order_id LIKE 'last-%'";
    assert_eq!(field.count(last).await, i64::try_from(COUPONS).unwrap());
    assert_eq!(field.count("SELECT count(*) FROM promotion.deal WHERE applied < version OR state <> 'ARMED'").await, 0);
}
