//! What a process tells: log lines to stderr, traces by OTLP, metrics for whoever scrapes them. All of it goes on
//! without the one it is told to: an endpoint that is away costs a log line now and then, and dropped traces.

use crate::config::{self, LogFormat};
use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::io::IsTerminal;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

mod export;
mod scrape;
mod trace;

pub use scrape::{metrics_text, upkeep};
pub use trace::{TRACEPARENT, continue_trace, link_trace, traceparent};

/// How long the last traces may take to leave before the process goes without them.
const FLUSH: Duration = Duration::from_secs(2);

/// Kafka's client says many times a second that no broker answers; who needs Kafka says so once. A filter that names one of
/// these has it back.
const QUIET: &str = "librdkafka=off,rdkafka=off";

/// Holds what has to be flushed at the end.
#[derive(Debug)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
}

/// Begins to tell. Needs a tokio runtime where an OTLP endpoint is set. Where a process calls it more than once, as
/// tests do, the first call decides about log and metrics.
///
/// # Errors
///
/// A log filter or an endpoint that cannot be parsed.
pub fn init(config: &config::Telemetry) -> anyhow::Result<Guard> {
    scrape::install();
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log_filter)).context("the log filter")?;
    let Some(endpoint) = &config.otlp_endpoint else {
        // The filter stands before everything, so that a span nobody wants costs next to nothing.
        let _ = tracing_subscriber::registry().with(filter).with(lines(config.log_format)).try_init();
        return Ok(Guard { traces: None });
    };
    let traces = export::provider(config, endpoint)?;
    let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("booster")).with_filter(export::filter());
    let _ = tracing_subscriber::registry().with(lines(config.log_format).with_filter(filter)).with(spans).try_init();
    Ok(Guard { traces: Some(traces) })
}

impl Guard {
    /// Sends what is left, for a bounded time.
    pub async fn shutdown(&self) {
        let Some(traces) = self.traces.clone() else { return };
        // It blocks its thread until the exporter is through.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH));
        if let Ok(Ok(Err(error))) = tokio::time::timeout(FLUSH, flushed).await {
            tracing::warn!(cause = %error, "the last traces were lost");
        }
    }
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Pretty => {
            fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed()
        }
        LogFormat::Json => {
            std::panic::set_hook(Box::new(|panic| tracing::error!(cause = %panic, "a panic")));
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        }
    }
}
