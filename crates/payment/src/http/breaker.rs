//! The circuit breaker: after some calls in a row that brought no answer nobody calls for a while, then a few try.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::BoxFuture;
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerHandle, CircuitBreakerLayer, CircuitState};

use super::Away;
use crate::payment::Heard;

/// Calls in a row without an answer that open it.
const FAILURES: usize = 10;
/// How long nobody calls once it is open.
pub const OPEN_FOR: Duration = Duration::from_secs(1);
/// Calls that try then: it closes when all of them are answered, and opens again when one is not.
pub const PROBES: usize = 3;

/// A call that may be made or not.
type Attempt = BoxFuture<'static, Result<Heard, Away>>;
type Layer = CircuitBreakerLayer;

/// The breaker. A cheap handle.
#[derive(Clone)]
pub struct Breaker {
    layer: Layer,
    handle: CircuitBreakerHandle,
    /// When it was last opened.
    opened: Arc<Mutex<Option<Instant>>>,
}

/// Who may call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everybody.
    Closed,
    /// A few, to try.
    Trying,
    /// Nobody.
    Open,
}

impl Breaker {
    /// One that is closed.
    ///
    /// # Errors
    /// Never: its settings are constants.
    pub(super) fn new() -> anyhow::Result<Self> {
        let opened = Arc::new(Mutex::new(None));
        let noted = opened.clone();
        let (layer, handle) = CircuitBreakerLayer::builder()
            .name("provider")
            .consecutive_failures(FAILURES)
            .wait_duration_in_open(OPEN_FOR)
            .permitted_calls_in_half_open(PROBES)
            .on_state_transition(move |from, to| {
                if to == CircuitState::Open {
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                tell(from, to);
            })
            .build_with_handle()
            .context("the breaker")?;
        metrics::gauge!("booster_payment_breaker_state").set(number(CircuitState::Closed));
        Ok(Self { layer, handle, opened })
    }

    /// Who may call now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.handle.state() {
            CircuitState::Closed => Standing::Closed,
            CircuitState::HalfOpen => Standing::Trying,
            CircuitState::Open => {
                let opened = *self.opened.lock().unwrap_or_else(PoisonError::into_inner);
                let is_over = opened.is_none_or(|opened| opened.elapsed() >= OPEN_FOR);
                if is_over { Standing::Trying } else { Standing::Open }
            }
        }
    }

    /// Makes a call, if it may be made; nothing where it may not.
    pub(super) async fn call(
        &self,
        attempt: impl Future<Output = Result<Heard, Away>> + Send + 'static,
    ) -> Option<Result<Heard, Away>> {
        let mut service = self.layer.layer(tower::service_fn(|attempt: Attempt| attempt));
        let attempt: Attempt = Box::pin(attempt);
        let called = match service.ready().await {
            Ok(service) => service.call(attempt).await,
            Err(error) => Err(error),
        };
        match called {
            Ok(heard) => Some(Ok(heard)),
            Err(CircuitBreakerError::Inner(away)) => Some(Err(away)),
            Err(CircuitBreakerError::OpenCircuit) => None,
        }
    }
}

fn tell(from: CircuitState, to: CircuitState) {
    metrics::gauge!("booster_payment_breaker_state").set(number(to));
    match (from, to) {
        (CircuitState::Closed, CircuitState::Open) => {
            tracing::warn!(calls = FAILURES, "the provider does not answer: it is left alone, and tried once a second");
        }
        (_, CircuitState::Closed) => tracing::info!("the provider answers again"),
        (_, CircuitState::Open | CircuitState::HalfOpen) => {}
    }
}

fn number(state: CircuitState) -> f64 {
    match state {
        CircuitState::Closed => 0.0,
        CircuitState::HalfOpen => 1.0,
        CircuitState::Open => 2.0,
    }
}
