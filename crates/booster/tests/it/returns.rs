//! A coupon is given back exactly while the last one is claimed, through two processes that answer from memory: what comes
//! free is claimable within a second, and never one too many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use proto::promotion::v1 as pb;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trial::process::Child;

use crate::booster::{is_full, promotions, told};
use crate::crowd::{Client, claiming, doors, open_deal, reason};

/// Deals of one round, side by side, and the coupons of each.
const DEALS: usize = 8;
const STOCK: i64 = 4;
/// Users who want what comes free.
const CONTENDERS: usize = 8;
/// How soon it must be theirs, and how much later that may be seen on a busy machine.
const CLAIMABLE: Duration = Duration::from_secs(1);
const SEEN: Duration = Duration::from_millis(500);
/// How long a process may take until it answers from memory; it reads a deal every two seconds at most.
const WARM: Duration = Duration::from_secs(10);

/// One deal, and who holds its coupons.
struct Deal {
    deal_id: String,
    /// Coupon ids and users.
    holders: Vec<(String, String)>,
    random: StdRng,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_while_the_last_coupon_is_claimed_goes_to_somebody_once() {
    let rounds = if is_full() { 40 } else { 4 };
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let (ground, processes) = promotions("returns", 2).await;
    let urls: Vec<String> = processes.iter().map(Child::grpc_url).collect();
    let doors = doors(&urls).await;
    let mut deals = Vec::new();
    for number in 0..DEALS {
        deals.push(Deal::sold_out(&doors, number, seed).await);
    }
    for round in 0..rounds {
        for deal in &deals {
            for (door, process) in doors.iter().zip(&processes) {
                warm(deal, door.clone(), process).await;
            }
        }
        join_all(deals.iter_mut().map(|deal| deal.round(&doors, round))).await;
    }
    let audit = told(Some(&ground), &["audit"]).await;
    let coupons = DEALS * (usize::try_from(STOCK).unwrap() + 2 * rounds);
    assert!(audit.ends_with(&format!("audit      {DEALS} deals, {coupons} coupons, 0 violations\n")), "{audit}");
    // Each coupon that is alive sits on a seat of its own within the stock.
    let full = "SELECT count(*) FROM (SELECT FROM promotion.coupon WHERE state = 'ISSUED' GROUP BY deal_id
                HAVING count(*) = 4 AND count(DISTINCT seat) = 4 AND min(seat) = 1 AND max(seat) = 4) AS full_deal";
    let mut admin = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
    let full: i64 = sqlx::query_scalar(full).fetch_one(&mut admin).await.unwrap();
    assert_eq!(full, DEALS as i64);
    ground.end().await;
}

impl Deal {
    async fn sold_out(doors: &[Client], number: usize, seed: u64) -> Self {
        let deal_id = format!("returns-{number}-{}", kit::id::fresh());
        open_deal(&mut doors[0].clone(), &deal_id, STOCK).await;
        let mut deal = Self { deal_id, holders: Vec::new(), random: StdRng::seed_from_u64(seed + number as u64) };
        for holder in 0..STOCK {
            let user = format!("first-{holder}");
            let coupon = deal.claim(doors[0].clone(), &user).await.unwrap();
            deal.holders.push((coupon, user));
        }
        deal
    }

    /// One coupon has just come back, another one does now, and everybody wants them: two win, within a second. In every other
    /// round both come back through the one process, and only the other one, which still answers from memory, is asked.
    async fn round(&mut self, doors: &[Client], round: usize) {
        self.holders.shuffle(&mut self.random);
        let (first, second) = (self.holders.pop().unwrap(), self.holders.pop().unwrap());
        let pause = Duration::from_millis(self.random.random_range(0..30));
        let (one, other) = (&doors[round / 2 % 2], &doors[(round / 2 + 1) % 2]);
        let (returns, claims) =
            if round.is_multiple_of(2) { ([one, other], [one, other]) } else { ([one; 2], [other; 2]) };
        let won = AtomicUsize::new(0);
        give_back(returns[0].clone(), &first).await;
        let begun = Instant::now();
        let returning = async {
            tokio::time::sleep(pause).await;
            give_back(returns[1].clone(), &second).await;
            begun.elapsed()
        };
        let contenders = join_all((0..CONTENDERS).map(|contender| {
            let user = format!("r{round}-c{contender}");
            self.contend(claims[contender % 2].clone(), user, &won)
        }));
        let (returned_after, winners) = tokio::join!(returning, contenders);
        let winners: Vec<_> = winners.into_iter().flatten().collect();
        assert_eq!(winners.len(), 2, "{} of round {round}: {winners:?} won", self.deal_id);
        let last = winners.iter().map(|(_, _, at)| at.duration_since(begun)).max().unwrap();
        assert!(
            last < returned_after + CLAIMABLE + SEEN,
            "{}: returned after {returned_after:?}, won after {last:?}",
            self.deal_id
        );
        self.holders.extend(winners.into_iter().map(|(coupon, user, _)| (coupon, user)));
        let asked = pb::GetDealRequest { deal_id: self.deal_id.clone() };
        let deal = doors[0].clone().get_deal(asked).await.unwrap().into_inner();
        assert_eq!((deal.remaining, deal.state()), (0, pb::DealState::SoldOut));
    }

    /// Claims until he wins, or two have, or it is too late; a loser asks once more when it is over.
    async fn contend(&self, client: Client, user: String, won: &AtomicUsize) -> Option<(String, String, Instant)> {
        let begun = Instant::now();
        loop {
            let over = won.load(Ordering::Acquire) == 2 || begun.elapsed() > 2 * CLAIMABLE;
            if let Some(coupon) = self.claim(client.clone(), &user).await {
                won.fetch_add(1, Ordering::AcqRel);
                return Some((coupon, user, Instant::now()));
            }
            if over {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn claim(&self, mut client: Client, user: &str) -> Option<String> {
        match client.claim_coupon(claiming(&self.deal_id, user)).await {
            Ok(reply) => Some(reply.into_inner().coupon.unwrap().coupon_id),
            Err(status) => {
                assert!(["SOLD_OUT", "OVERLOADED"].contains(&reason(&status).as_str()), "{status}");
                None
            }
        }
    }
}

async fn give_back(mut client: Client, (coupon_id, user_id): &(String, String)) {
    let returning = pb::ReturnCouponRequest { coupon_id: coupon_id.clone(), user_id: user_id.clone() };
    client.return_coupon(returning).await.unwrap();
}

/// Until this process answers the deal from memory.
async fn warm(deal: &Deal, client: Client, process: &Child) {
    let begun = Instant::now();
    loop {
        let before = from_memory(process).await;
        assert_eq!(deal.claim(client.clone(), "late").await, None);
        if from_memory(process).await > before {
            return;
        }
        assert!(begun.elapsed() < WARM, "{} is never answered from memory", deal.deal_id);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many claims this process has answered from memory.
async fn from_memory(process: &Child) -> u64 {
    let mut stream = tokio::net::TcpStream::connect(process.admin_addr()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find(|line| line.starts_with("booster_claims_from_memory_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
