//! The provider, over HTTP: a call by its key, bounded in time, behind a circuit breaker. It is sent once; whoever wants it settled calls
//! again.

mod breaker;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use kit::error::Invalid;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

pub use breaker::{Breaker, OPEN_FOR, PROBES, Standing};

use crate::Config;
use crate::payment::{Call, Command, Heard, Said};
use crate::provider::words::{Answer, Charge, State};

/// The longest answer of the provider, in bytes.
const ANSWER_LONGEST: usize = 16 * 1024;
/// The longest name of a charge that is taken, in bytes.
const REFERENCE_LONGEST: usize = 200;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// The provider. A cheap handle.
#[derive(Clone)]
pub struct Till {
    client: Client,
    charges: Url,
    breaker: Breaker,
}

/// A call that has brought no answer, because the provider, or the way to it, is away: what the breaker counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away(String);

impl Till {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// The URL is not one that can be called.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let wrong = |why: &str| Invalid::new("--payment-provider-url", format!("{why}, as in http://127.0.0.1:8090"));
        let mut charges = Url::parse(&config.payment_provider_url).map_err(|_| wrong("is not a URL"))?;
        if charges.scheme() != "http" || charges.host().is_none() {
            return Err(wrong("is not one of http").into());
        }
        charges.set_path("/v1/charges");
        let client = Client::builder()
            .connect_timeout(config.payment_connect_timeout)
            .timeout(config.payment_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.payment_in_flight)
            .redirect(reqwest::redirect::Policy::none())
            // What is between us and the provider is told by its URL alone.
            .no_proxy()
            .build()
            .context("the provider's client")?;
        Ok(Self { client, charges, breaker: Breaker::new()? })
    }

    /// Whether the provider may be called.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Makes one call.
    pub async fn call(&self, call: &Call) -> Heard {
        let (request, key, begun) = (self.request(call), call.order_id.to_string(), Instant::now());
        let heard = match self.breaker.call(async move { answer(&key, request.send().await).await }).await {
            Some(Ok(heard)) => heard,
            Some(Err(Away(why))) => Heard::Nothing(why),
            None => Heard::NotNow,
        };
        tell(call.command, &heard, begun.elapsed());
        heard
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let of_key = |what: &str| {
            let mut url = self.charges.clone();
            url.set_path(&format!("/v1/charges/{}/{what}", call.order_id));
            self.client.post(url)
        };
        match call.command {
            Command::Charge => self.client.post(self.charges.clone()).json(&Charge {
                key: call.order_id.to_string(),
                amount: call.amount.minor_units,
                currency: call.amount.currency.clone(),
                method: call.method.clone(),
            }),
            Command::Void => of_key("void"),
            Command::Refund => of_key("refund"),
        }
    }
}

/// Reads an answer. One that the provider gives although it cannot do what it was told is none, and does not mean that it is away.
async fn answer(key: &str, sent: Result<Response, reqwest::Error>) -> Result<Heard, Away> {
    let mut response = sent.map_err(|error| away(&error))?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Away(format!("it answers {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LONGEST {
            return Ok(Heard::Nothing(format!("its answer is longer than {ANSWER_LONGEST} bytes")));
        }
    }
    if status != StatusCode::OK {
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        return Ok(Heard::Nothing(format!("it answers {status}: {said}")));
    }
    Ok(match serde_json::from_slice::<Answer>(&body) {
        Ok(answer) if answer.key == key => heard(answer),
        Ok(_) => Heard::Nothing("it answers about another key".to_owned()),
        Err(error) => Heard::Nothing(format!("its answer cannot be read: {error}")),
    })
}

/// What an answer says for good. That it knows nothing of a key says nothing: a call with it may still be on its way.
fn heard(answer: Answer) -> Heard {
    let sound = |name: &String| {
        (1..=REFERENCE_LONGEST).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match (answer.state, answer.reference.filter(sound)) {
        (State::Charged, Some(reference)) => Heard::Said(Said::Charged(reference)),
        (State::Refunded, Some(reference)) => Heard::Said(Said::Refunded(reference)),
        (State::Declined, _) => Heard::Said(Said::Declined),
        (State::Voided, _) => Heard::Said(Said::Voided),
        (State::Charged | State::Refunded, None) => {
            Heard::Nothing("it has charged, and gives no name that could be kept".to_owned())
        }
        (State::Unknown, _) => Heard::Nothing("it does not know the key".to_owned()),
    }
}

/// Why a call broke, with its causes and without its URL.
fn away(error: &reqwest::Error) -> Away {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let kind = if error.is_timeout() { "it took too long" } else { "the connection broke" };
    Away(causes.fold(kind.to_owned(), |text, cause| format!("{text}: {cause}")))
}

fn tell(command: Command, heard: &Heard, took: Duration) {
    let outcome = match heard {
        Heard::Said(said) => said.state().as_str(),
        Heard::Nothing(_) => "NONE",
        Heard::NotNow => "NOT_NOW",
    };
    let labels = [("command", command.as_str()), ("outcome", outcome)];
    metrics::counter!("booster_payment_calls_total", &labels).increment(1);
    if *heard != Heard::NotNow {
        metrics::histogram!("booster_payment_call_seconds", "command" => command.as_str()).record(took.as_secs_f64());
    }
}
