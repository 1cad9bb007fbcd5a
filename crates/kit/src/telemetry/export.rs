//! Traces on their way out.

use crate::config;
use anyhow::Context;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::Filter;

/// How long one batch of traces may take to leave. The queue before it is bounded; what does not fit is dropped.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Libraries that make spans of their own, some of them while they carry ours out.
const LIBRARIES: [&str; 8] = ["h2", "hyper", "hyper_util", "tonic", "tower", "opentelemetry", "fred", "sqlx"];

/// Keeps a share of the traces that begin here, and all those whose parent was kept.
pub(super) fn provider(config: &config::Telemetry, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .with_context(|| format!("the OTLP endpoint {endpoint:?}"))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_ratio)));
    let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource).build())
}

/// What becomes part of a trace: our spans, down to debug, and the lines worth telling within them.
pub(super) fn filter<S: Subscriber>() -> impl Filter<S> {
    LIBRARIES
        .into_iter()
        .fold(Targets::new().with_default(LevelFilter::DEBUG), |targets, library| {
            targets.with_target(library, LevelFilter::OFF)
        })
        .and(filter_fn(|metadata| metadata.is_span() || *metadata.level() <= Level::INFO))
}
