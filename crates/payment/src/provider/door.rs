//! What the provider answers, and how it misbehaves while it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rand::RngExt as _;
use tokio::sync::mpsc;

use super::book::{Book, Refused};
use super::switches::{Method, Switches};
use super::wire::Cutter;
use super::words::{Answer, Charge};

/// The longest request, in bytes.
const REQUEST_LONGEST: usize = 16 * 1024;
/// How long `sandbox:delay` takes to decide.
const DELAY: Duration = Duration::from_secs(2);
/// The provider's own time-out, and how long after it `sandbox:late` charges all the same.
const TIMED_OUT: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(1);
/// Late charges that wait, at most; what comes on top of them is charged at once.
const LATE_MOST: usize = 100_000;

/// The provider. A cheap handle.
#[derive(Clone)]
pub(super) struct Sandbox {
    book: Arc<Book>,
    switches: Arc<Mutex<(Switches, Instant)>>,
    later: mpsc::Sender<(tokio::time::Instant, Charge)>,
}

/// Charges that come late.
pub(super) struct Later(mpsc::Receiver<(tokio::time::Instant, Charge)>);

/// What is answered in place of an answer.
struct Trouble(StatusCode, String);

impl Sandbox {
    pub(super) fn new(book: Book, switches: Switches) -> (Self, Later) {
        let (later, waiting) = mpsc::channel(LATE_MOST);
        let switches = Arc::new(Mutex::new((switches, Instant::now())));
        (Self { book: Arc::new(book), switches, later }, Later(waiting))
    }

    fn switches(&self) -> (Switches, Instant) {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Later {
    /// Charges what comes late when its time has come, unless it was charged or voided meanwhile.
    pub(super) async fn run(mut self, sandbox: &Sandbox) {
        let mut waiting = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some((at, charge)) = self.0.recv() => waiting.push(async move {
                    tokio::time::sleep_until(at).await;
                    // Nobody waits for the answer.
                    let _ = sandbox.book.charge(&charge, false).await;
                }),
                Some(()) = waiting.next() => {}
                else => std::future::pending().await,
            }
        }
    }
}

/// Every path.
pub(super) fn routes(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/v1/charges", post(charge))
        .route("/v1/charges/{key}", get(ask))
        .route("/v1/charges/{key}/void", post(void))
        .route("/v1/charges/{key}/refund", post(refund))
        .route("/v1/switches", get(show).put(switch))
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .layer(DefaultBodyLimit::max(REQUEST_LONGEST))
        .with_state(sandbox)
}

async fn charge(
    State(sandbox): State<Sandbox>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Json(charge): Json<Charge>,
) -> Response {
    answer(&sandbox, &cutter, async {
        check(&charge)?;
        let earlier = sandbox.book.meet(&charge.key)?;
        let is_declined = rand::rng().random_bool(sandbox.switches().0.decline_ratio);
        match Method::read(&charge.method) {
            Method::Plain => Ok(sandbox.book.charge(&charge, is_declined).await?),
            Method::Decline => Ok(sandbox.book.charge(&charge, true).await?),
            Method::Delay => {
                tokio::time::sleep(DELAY).await;
                Ok(sandbox.book.charge(&charge, is_declined).await?)
            }
            Method::Drop => {
                let done = sandbox.book.charge(&charge, is_declined).await?;
                if earlier == 0 {
                    cutter.cut();
                }
                Ok(done)
            }
            Method::Late if earlier == 0 => {
                let at = tokio::time::Instant::now() + TIMED_OUT + LATE;
                if sandbox.later.try_send((at, charge.clone())).is_err() {
                    return Ok(sandbox.book.charge(&charge, false).await?);
                }
                tokio::time::sleep(TIMED_OUT).await;
                Err(Trouble(StatusCode::GATEWAY_TIMEOUT, "it takes too long".to_owned()))
            }
            Method::Late => Ok(sandbox.book.charge(&charge, is_declined).await?),
        }
    })
    .await
}

async fn ask(
    State(sandbox): State<Sandbox>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path(key): Path<String>,
) -> Response {
    answer(&sandbox, &cutter, async { Ok(sandbox.book.ask(check_key(&key)?).await) }).await
}

async fn void(
    State(sandbox): State<Sandbox>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path(key): Path<String>,
) -> Response {
    answer(&sandbox, &cutter, async { Ok(sandbox.book.void(check_key(&key)?).await?) }).await
}

async fn refund(
    State(sandbox): State<Sandbox>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Path(key): Path<String>,
) -> Response {
    answer(&sandbox, &cutter, async { Ok(sandbox.book.refund(check_key(&key)?).await?) }).await
}

async fn show(State(sandbox): State<Sandbox>) -> Json<Switches> {
    Json(sandbox.switches().0)
}

async fn switch(State(sandbox): State<Sandbox>, Json(switches): Json<Switches>) -> Response {
    if let Err(invalid) = switches.check() {
        return Trouble(StatusCode::BAD_REQUEST, invalid.to_string()).into_response();
    }
    tracing::info!(?switches, "told to behave differently");
    *sandbox.switches.lock().unwrap_or_else(PoisonError::into_inner) = (switches.clone(), Instant::now());
    Json(switches).into_response()
}

/// Does what was asked, and answers it as the switches say.
async fn answer(sandbox: &Sandbox, cutter: &Cutter, work: impl Future<Output = Result<Answer, Trouble>>) -> Response {
    let (switches, since) = sandbox.switches();
    if switches.is_down(since) || rand::rng().random_bool(switches.error_ratio) {
        return Trouble(StatusCode::SERVICE_UNAVAILABLE, "not now".to_owned()).into_response();
    }
    let done = work.await;
    tokio::time::sleep(switches.delay()).await;
    if rand::rng().random_bool(switches.drop_ratio) {
        cutter.cut();
    }
    match done {
        Ok(answer) => Json(answer).into_response(),
        Err(trouble) => trouble.into_response(),
    }
}

fn check(charge: &Charge) -> Result<(), Trouble> {
    check_key(&charge.key)?;
    let is_currency = charge.currency.len() == 3 && charge.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if charge.amount <= 0 || !is_currency {
        return Err(Trouble(StatusCode::BAD_REQUEST, "the amount is not above zero, or of no currency".to_owned()));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<&str, Trouble> {
    match kit::id::check(key, "key", kit::id::LONGEST) {
        Ok(_) => Ok(key),
        Err(invalid) => Err(Trouble(StatusCode::BAD_REQUEST, invalid.to_string())),
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::OtherContent => Self(StatusCode::CONFLICT, "this key was used for another charge".to_owned()),
            Refused::TooMany => Self(StatusCode::INSUFFICIENT_STORAGE, "there are too many keys".to_owned()),
            Refused::Broken => Self(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written down".to_owned()),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}
