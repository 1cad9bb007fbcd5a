//! A crowd that claims as long as something lasts, steadily. Nobody gives up: whoever has no definite answer asks again.
//! Every answer is kept, and in the end held against PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use kit::config::Secret;
use proto::promotion::v1 as pb;
use proto::promotion::v1::promotion_service_client::PromotionServiceClient;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::Connection as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use trial::rush::{Entry, Evidence, Outcome, Row, judge};

/// A client of promotion.
pub type Client = PromotionServiceClient<Channel>;

/// Connections to each process.
const CONNECTIONS: usize = 4;
/// How long the caller waits where the server says nothing at all: far longer than any deadline, so that one that is not
/// kept shows.
const LONGEST: Duration = Duration::from_secs(30);
/// How long one claim is repeated.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause before a claim is repeated, also where the server asks for more.
const IMPATIENT: Duration = Duration::from_millis(200);
/// How long everything may take to arrive in PostgreSQL.
const ARRIVAL: Duration = Duration::from_secs(120);
/// People who claim at once while something lasts, and what each of them pauses between two claims.
const STEADY: usize = 16;
const STEADY_PAUSE: Duration = Duration::from_millis(20);
/// One in so many is few.
const FEW: usize = 20;
/// How long the crowd goes on after it is over.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// The crowd of one deal.
pub struct Crowd {
    pub deal_id: String,
    stock: u32,
    doors: Vec<Client>,
    begun: Instant,
    entries: Mutex<Vec<Entry>>,
    /// Users that have claimed while something lasted.
    users: AtomicU32,
    pub seed: u64,
}

impl Crowd {
    /// Makes a deal, and opens connections to every process.
    pub async fn gather(urls: &[String], deal_id: &str, stock: u32) -> Self {
        open_deal(&mut doors(urls).await[0], deal_id, stock.into()).await;
        Self::for_deal(urls, deal_id, stock).await
    }

    /// A crowd for a deal that is there already.
    pub async fn for_deal(urls: &[String], deal_id: &str, stock: u32) -> Self {
        let doors = doors(urls).await;
        let (begun, seed) = (Instant::now(), rand::random());
        eprintln!("{deal_id} seed {seed}");
        Self {
            deal_id: deal_id.to_owned(),
            stock,
            doors,
            begun,
            entries: Mutex::default(),
            users: AtomicU32::new(0),
            seed,
        }
    }

    /// New users claim, and those who hold a coupon claim again, until `fault` is over and a moment longer.
    pub async fn during<T>(&self, fault: impl Future<Output = T>) -> T {
        let over = AtomicBool::new(false);
        let fault = async {
            let outcome = fault.await;
            tokio::time::sleep(AFTERWARDS).await;
            over.store(true, Ordering::Release);
            outcome
        };
        let steady = join_all((0..STEADY).map(|number| self.steadily(number, &over)));
        let (outcome, _) = tokio::join!(fault, steady);
        outcome
    }

    /// All of these claims, so many at once.
    pub async fn all(&self, calls: &[(String, u32)], at_once: usize) {
        let claims = calls.iter().enumerate().map(|(index, (user, call))| self.claim(user, *call, index));
        futures::stream::iter(claims).for_each_concurrent(at_once, |claim| async { drop(claim.await) }).await;
    }

    /// One claim, repeated until its answer is definite, each time at another door.
    pub async fn claim(&self, user: &str, call: u32, door: usize) -> Outcome {
        let begun = Instant::now();
        for attempt in 1.. {
            let client = self.doors[(door + attempt as usize) % self.doors.len()].clone();
            let (outcome, pause) = self.attempt(client, user, call, attempt).await;
            if outcome.is_definite() || begun.elapsed() > PATIENCE {
                return outcome;
            }
            tokio::time::sleep(pause).await;
        }
        unreachable!("it is repeated until it returns")
    }

    /// How often each reason was given, `OK` for a coupon; the code and its words where there was no reason.
    pub fn reasons(&self) -> BTreeMap<String, usize> {
        let mut reasons = BTreeMap::new();
        for entry in self.entries.lock().unwrap().iter() {
            let reason = match &entry.outcome {
                Outcome::Ok { .. } => "OK".to_owned(),
                Outcome::Refused { reason } => reason.clone(),
                Outcome::Unknown { message, .. } => message.clone(),
            };
            *reasons.entry(reason).or_default() += 1;
        }
        reasons
    }

    /// How many attempts were answered so far.
    pub fn answered(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// How often the same claim had to be sent, at most.
    pub fn most_attempts(&self) -> u32 {
        self.entries.lock().unwrap().iter().map(|entry| entry.attempt).max().unwrap_or_default()
    }

    /// Rank, and whether it was his before, of every yes that this user was told.
    pub fn told(&self, user: &str) -> Vec<(i64, bool)> {
        let entries = self.entries.lock().unwrap();
        let yes = entries.iter().filter(|entry| entry.user == user).filter_map(|entry| match &entry.outcome {
            Outcome::Ok { rank, already_held, .. } => Some((*rank, *already_held)),
            Outcome::Refused { .. } | Outcome::Unknown { .. } => None,
        });
        yes.collect()
    }

    /// The longest time that an answer took.
    pub fn slowest(&self) -> Duration {
        self.entries.lock().unwrap().iter().map(|entry| entry.took).max().unwrap_or_default()
    }

    /// Waits until PostgreSQL has what was told, and insists that it is exact. Answers how many coupons there are.
    pub async fn assert_exact(&self, postgres_url: &Secret) -> usize {
        let mut entries = self.entries.lock().unwrap().clone();
        entries.sort_by_key(Entry::answered);
        let winners = trial::rush::told(&entries).values().filter(|told| told.is_winner()).count();
        let begun = Instant::now();
        let mut stored = rows(postgres_url, &self.deal_id).await;
        while stored.len() < winners && begun.elapsed() < ARRIVAL {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stored = rows(postgres_url, &self.deal_id).await;
        }
        let (deal_id, listed, stored) = (self.deal_id.as_str(), stored.as_slice(), Some(stored.as_slice()));
        let verdict = judge(&Evidence { deal_id, stock: self.stock, entries: &entries, listed, stored });
        let few: Vec<String> = verdict.violations.iter().take(10).map(ToString::to_string).collect();
        assert!(verdict.is_exact(), "{} seed {}: {few:#?} {:?}", self.deal_id, self.seed, self.reasons());
        let open = trial::rush::told(&entries).values().filter(|told| told.is_open()).count();
        assert_eq!(open, 0, "{} seed {}: somebody gave up: {:?}", self.deal_id, self.seed, self.reasons());
        eprintln!("{} {:?}, slowest {:?}", self.deal_id, self.reasons(), self.slowest());
        listed.len()
    }

    /// Nothing but these reasons was given.
    pub fn assert_only(&self, allowed: &[&str]) {
        let reasons = self.reasons();
        assert!(reasons.keys().all(|reason| allowed.contains(&reason.as_str())), "{reasons:?}, allowed is {allowed:?}");
    }

    /// Everybody was told yes at once, but for a few: on a busy machine somebody may wait for too long now and then.
    pub fn assert_undisturbed(&self) {
        self.assert_only(&["OK", "OVERLOADED"]);
        let reasons = self.reasons();
        let overloaded = reasons.get("OVERLOADED").copied().unwrap_or_default();
        assert!(overloaded * FEW < reasons["OK"], "{reasons:?}");
    }

    async fn steadily(&self, number: usize, over: &AtomicBool) {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(number as u64));
        let mut mine: Vec<(String, u32)> = Vec::new();
        while !over.load(Ordering::Acquire) {
            let again = !mine.is_empty() && random.random_bool(0.25);
            if again {
                let index = random.random_range(0..mine.len());
                mine[index].1 += 1;
                let (user, call) = mine[index].clone();
                self.claim(&user, call, number).await;
            } else {
                let user = format!("user-{}", self.users.fetch_add(1, Ordering::Relaxed));
                self.claim(&user, 1, number).await;
                mine.push((user, 1));
            }
            tokio::time::sleep(STEADY_PAUSE).await;
        }
    }

    async fn attempt(&self, mut client: Client, user: &str, call: u32, attempt: u32) -> (Outcome, Duration) {
        let sent = Instant::now();
        let reply = tokio::time::timeout(LONGEST, client.claim_coupon(claiming(&self.deal_id, user))).await;
        let reply = reply.unwrap_or_else(|_| Err(Status::deadline_exceeded("the caller did not wait longer")));
        let (outcome, pause) = read(reply.map(tonic::Response::into_inner));
        let (sent, took) = (sent.duration_since(self.begun), sent.elapsed());
        let entry = Entry { user: user.to_owned(), call, attempt, sent, took, outcome: outcome.clone() };
        self.entries.lock().unwrap().push(entry);
        (outcome, pause)
    }
}

/// Connections to every process, in turn.
pub async fn doors(urls: &[String]) -> Vec<Client> {
    let mut doors = Vec::new();
    for url in urls.iter().cycle().take(urls.len() * CONNECTIONS) {
        let endpoint = Endpoint::from_shared(url.clone()).unwrap().tcp_nodelay(true);
        doors.push(Client::new(endpoint.connect().await.unwrap()));
    }
    doors
}

/// Makes a deal that is open from now on, for an hour.
pub async fn open_deal(client: &mut Client, deal_id: &str, stock: i64) -> pb::Deal {
    client.create_deal(creating(deal_id, stock)).await.unwrap().into_inner()
}

pub fn creating(deal_id: &str, stock: i64) -> pb::CreateDealRequest {
    let discount = pb::Discount { off: Some(pb::discount::Off::Percent(10)), ..pb::Discount::default() };
    let closes_at = std::time::SystemTime::now() + Duration::from_secs(3_600);
    let deal = pb::Deal {
        deal_id: deal_id.to_owned(),
        venue_id: "venue".to_owned(),
        stock,
        closes_at: Some(closes_at.into()),
        prize: Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }),
        ..pb::Deal::default()
    };
    pb::CreateDealRequest { deal: Some(deal), request_id: String::new() }
}

pub fn claiming(deal_id: &str, user: &str) -> pb::ClaimCouponRequest {
    pb::ClaimCouponRequest { deal_id: deal_id.to_owned(), user_id: user.to_owned(), pass: String::new() }
}

/// The reason of a refusal, or its code where it has none.
pub fn reason(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason);
    reason.unwrap_or_else(|| format!("{:?}: {}", status.code(), status.message()))
}

/// What was told, and the pause before the next attempt. Only a reason that says that nothing happened is a refusal.
fn read(reply: Result<pb::ClaimCouponResponse, Status>) -> (Outcome, Duration) {
    let status = match reply {
        Ok(pb::ClaimCouponResponse { coupon: Some(coupon), already_held }) => {
            let (rank, coupon_id) = (coupon.rank, coupon.coupon_id);
            return (Outcome::Ok { rank, coupon_id, already_held }, Duration::ZERO);
        }
        Ok(_) => Status::internal("an answer without a coupon"),
        Err(status) => status,
    };
    let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let (reason, code) = (reason(&status), status.code());
    let open = code == Code::Internal || reason == "BACKEND_UNAVAILABLE" || status.get_details_error_info().is_none();
    let outcome = if open {
        Outcome::Unknown { code: format!("{code:?}"), message: reason }
    } else {
        Outcome::Refused { reason }
    };
    (outcome, hint.unwrap_or(IMPATIENT).min(IMPATIENT))
}

/// What PostgreSQL holds of the deal.
async fn rows(url: &Secret, deal_id: &str) -> Vec<Row> {
    let url = url.expose().replace("{service}", "promotion");
    let Ok(mut connection) = sqlx::PgConnection::connect(&url).await else { return Vec::new() };
    let found: Vec<(i64, i64, String, String)> =
        sqlx::query_as("SELECT rank, seat, user_id, state FROM promotion.coupon WHERE deal_id = $1 ORDER BY rank")
            .bind(deal_id)
            .fetch_all(&mut connection)
            .await
            .unwrap_or_default();
    let row = |(rank, seat, user, state)| Row { rank, user, state, seat: Some(seat), coupon_id: None };
    found.into_iter().map(row).collect()
}
