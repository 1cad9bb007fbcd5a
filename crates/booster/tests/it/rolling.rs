//! Processes are ended in good manners and started again, one after the other, while a deal goes on: whoever asks again where
//! an answer says so sees no failure, nothing is given twice, and whoever watches can go on.

use std::ops::AsyncFnMut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::promotion::v1 as pb;
use rand::RngExt as _;
use tonic::{Code, Response, Status, Streaming};
use trial::process::Child;

use crate::booster::{is_full, promotions, told};
use crate::crowd::{Client, Crowd, claiming, doors, open_deal, reason};

/// How often every process is ended and started again, and at full size.
const ROUNDS: (usize, usize) = (3, 12);
/// How often a client asks, and how long it pauses before it asks again, at most.
const ATTEMPTS: u32 = 6;
const PAUSE_MOST_MS: u64 = 300;
/// How long a process is left alone after all of them are there.
const STEADY: Duration = Duration::from_millis(700);
/// How long a stream may take to end, and to begin again.
const NEWS: Duration = Duration::from_secs(10);

/// What tonic says of a call that it has not sent.
const UNSENT: &str = "Cancelled: operation was canceled";

type Watch = Streaming<pb::WatchDealResponse>;

/// A client with a door to each process, which asks again where that is safe, and nowhere else.
struct Patient {
    doors: Vec<Client>,
    next: usize,
    /// How often it had to ask again.
    again: u32,
}

impl Patient {
    async fn ask<T>(&mut self, mut call: impl AsyncFnMut(Client) -> Result<Response<T>, Status>) -> T {
        for attempt in 1.. {
            self.next += 1;
            match call(self.doors[self.next % self.doors.len()].clone()).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) if may_ask_again(&status) && attempt < ATTEMPTS => self.again += 1,
                Err(status) => panic!("attempt {attempt}: {status:?}"),
            }
            let pause_ms = rand::rng().random_range(10..PAUSE_MOST_MS);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        unreachable!("it asks until it returns")
    }

    /// One person after the other claims, uses, undoes, looks, and gives back. Answers how many there were.
    async fn live(&mut self, deal_id: &str, over: &AtomicBool) -> usize {
        let mut people = 0;
        while !over.load(Ordering::Acquire) {
            let user_id = format!("person-{people}");
            let claimed = self.ask(async |mut door| door.claim_coupon(claiming(deal_id, &user_id)).await).await;
            let coupon_id = claimed.coupon.unwrap().coupon_id;
            let (order_id, coupon) = ("order".to_owned(), || (coupon_id.clone(), user_id.clone()));
            let redeemed = async |mut door: Client| {
                let (coupon_id, user_id) = coupon();
                let asked = pb::RedeemCouponRequest { coupon_id, user_id, order_id: order_id.clone() };
                door.redeem_coupon(asked).await
            };
            assert_eq!(self.ask(redeemed).await.state(), pb::CouponState::Redeemed);
            let restored = async |mut door: Client| {
                let asked = pb::RestoreCouponRequest { coupon_id: coupon().0, order_id: order_id.clone() };
                door.restore_coupon(asked).await
            };
            assert_eq!(self.ask(restored).await.state(), pb::CouponState::Issued);
            let returned = async |mut door: Client| {
                let (coupon_id, user_id) = coupon();
                door.return_coupon(pb::ReturnCouponRequest { coupon_id, user_id }).await
            };
            assert_eq!(self.ask(returned).await.state(), pb::CouponState::Returned);
            let found = async |mut door: Client| door.get_coupon(pb::GetCouponRequest { coupon_id: coupon().0 }).await;
            assert_eq!(self.ask(found).await.state(), pb::CouponState::Returned);
            let listed = async |mut door: Client| door.list_deals(pb::ListDealsRequest::default()).await;
            assert_eq!(self.ask(listed).await.deals.len(), 2);
            people += 1;
        }
        people
    }
}

/// Where the server says so. And where nothing has left this client: a call that its library still holds when the connection
/// closes is CANCELLED by tonic, where libraries of other languages send it again by themselves.
fn may_ask_again(status: &Status) -> bool {
    status.code() == Code::Unavailable || reason(status) == UNSENT
}

async fn watch(client: &mut Client, deal_id: &str) -> Watch {
    let mut watch = client.watch_deal(pb::WatchDealRequest { deal_id: deal_id.to_owned() }).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some(), "it begins with the deal as it stands");
    watch
}

/// Reads on to the end: without a word, or with the one that says to watch again.
async fn assert_ends_well(mut watch: Watch) {
    let end = async {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    };
    let end = tokio::time::timeout(NEWS, end).await.expect("the stream ends");
    assert!(matches!(end, Code::Ok | Code::Unavailable), "{end:?}");
}

/// Ends a process and starts it again, with somebody who watches through it, and goes on elsewhere.
async fn replace(process: &mut Child, other: &Child, deal_id: &str) {
    let doors = doors(&[process.grpc_url(), other.grpc_url()]).await;
    let watched = watch(&mut doors[0].clone(), deal_id).await;
    let (code, ()) = tokio::join!(process.stop(), assert_ends_well(watched));
    assert_eq!(code, Some(0), "a process that was asked to end ends well");
    drop(watch(&mut doors[1].clone(), deal_id).await);
    process.start_again().await;
    drop(watch(&mut doors[0].clone(), deal_id).await);
}

#[tokio::test]
async fn a_rolling_restart_is_seen_by_nobody_who_asks_again() {
    let (ground, mut processes) = promotions("rolling", 2).await;
    let urls: Vec<String> = processes.iter().map(Child::grpc_url).collect();
    let crowd = Crowd::gather(&urls, "rolling", 100_000).await;
    let mut patient = Patient { doors: doors(&urls).await, next: 0, again: 0 };
    open_deal(&mut patient.doors[0].clone(), "lived", 100).await;
    let (rounds, over) = (if is_full() { ROUNDS.1 } else { ROUNDS.0 }, AtomicBool::new(false));
    let rolling = async {
        for _ in 0..rounds {
            for number in 0..2 {
                let (first, second) = processes.split_at_mut(1);
                let (process, other) =
                    if number == 0 { (&mut first[0], &second[0]) } else { (&mut second[0], &first[0]) };
                replace(process, other, "rolling").await;
                tokio::time::sleep(STEADY).await;
            }
        }
        over.store(true, Ordering::Release);
    };
    let (people, ()) = tokio::join!(patient.live("lived", &over), crowd.during(rolling));

    assert!(crowd.answered() > 100 && people > rounds, "{} answers, {people} people", crowd.answered());
    assert!(crowd.most_attempts() <= ATTEMPTS, "{} attempts: {:?}", crowd.most_attempts(), crowd.reasons());
    let allowed = |reason: &str| {
        ["OK", "OVERLOADED", "BACKEND_UNAVAILABLE", UNSENT].contains(&reason) || reason.starts_with("Unavailable: ")
    };
    assert!(crowd.reasons().keys().all(|reason| allowed(reason)), "{:?}", crowd.reasons());
    crowd.assert_exact(&ground.servers().postgres_url).await;
    eprintln!("{people} people lived through it and asked {} times again", patient.again);
    let audit = told(Some(&ground), &["audit"]).await;
    assert!(audit.ends_with(" 0 violations\n"), "{audit}");
    for process in &mut processes {
        assert_eq!(process.stop().await, Some(0));
    }
    ground.end().await;
}
