//! The thread that goes through gRPC, journal, Kafka and Postgres: W3C `traceparent`, read and written.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header's name, in gRPC metadata and on Kafka.
pub const TRACEPARENT: &str = "traceparent";

/// Where the current span stands, to be handed on with a message; nothing where no traces are made.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let sampled = u8::from(span.is_sampled());
    span.is_valid().then(|| format!("00-{}-{}-{sampled:02x}", span.trace_id(), span.span_id()))
}

/// Makes `span`, which was not entered yet, a part of the trace that came with a message. A text that is not a
/// `traceparent` begins a trace of its own.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    // The only error is that no traces are made.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier(traceparent)));
}

/// Links `span` to one more trace that came with a message: what it does belongs to several.
pub fn link_trace(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Carrier(traceparent));
    let linked = context.span().span_context().clone();
    if linked.is_valid() {
        span.add_link(linked);
    }
}

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    const COMES_IN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_with_the_same_id_and_another_span() {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("in");
            continue_trace(&span, COMES_IN);
            let goes_out = span.in_scope(traceparent).unwrap();
            assert!(goes_out.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && goes_out.ends_with("-01"));
            assert_ne!(goes_out, COMES_IN);

            let span = tracing::info_span!("damaged");
            continue_trace(&span, "not a traceparent");
            assert!(!span.in_scope(traceparent).unwrap().contains("4bf92f3577b34da6"));
        });
    }

    #[test]
    fn without_traces_there_is_nothing_to_hand_on() {
        let span = tracing::info_span!("in");
        continue_trace(&span, COMES_IN);
        assert_eq!(span.in_scope(traceparent), None);
    }
}
